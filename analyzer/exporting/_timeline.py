"""A recording as things that last: lives of processes, their programs, connects, connections; and numbers that change.

Of a merged recording these are of all hosts, on its time line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from analyzer.lines import endpoint

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

Key = tuple[str, int | None, int | None]
"""A process: ``recording_id``, ``pid`` and ``start_ns``; the last two are None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Something that lasts, from and to CLOCK_BOOTTIME in ns."""

    from_ns: int
    to_ns: int
    name: str
    category: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Life:
    """A process in the window of its recording, and the programs that it ran one after the other."""

    key: tuple[str, int, int]
    host: str | None
    whole: Slice
    programs: Sequence[Slice] = ()
    cmdline: Sequence[str] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of one process, in order of their beginnings."""

    key: Key
    host: str | None
    slices: Iterable[Slice]


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that changes: (CLOCK_BOOTTIME in ns, value) in order of time."""

    name: str
    unit: str
    host: str | None
    values: Iterable[tuple[int, float]]


# CLOCK_MONOTONIC is that of one boot, and no other one's: of what was merged, of the host whose clock is the time line's.
_CLOCKS = """
SELECT boottime_ns, monotonic_ns, realtime_ns FROM clock
WHERE recording_id IN (SELECT recording_id FROM recording WHERE clock_source IN ('itself', 'same boot')) ORDER BY boottime_ns
"""

# A process is in the window from its start, or the recording's, to its end, or the recording's. One that was only seen from afar has no end here.
_LIVES = """
WITH ends_of AS (SELECT recording_id, max(ts_ns + interval_ns) AS end_ns FROM coverage GROUP BY recording_id),
bounds AS (
    SELECT r.recording_id, min(r.start_ns) AS start_ns, coalesce(max(r.end_ns), max(c.end_ns)) AS end_ns
    FROM recording r LEFT JOIN ends_of c ON c.recording_id = r.recording_id GROUP BY r.recording_id
),
seen AS (
    SELECT recording_id, host, child_pid AS pid, child_start_ns AS start_ns, comm, ts_ns, NULL AS pid_ns, NULL AS cgroup_id
    FROM clone WHERE NOT is_thread
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM process
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM exec
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM exit
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM tcp_connect
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM tcp_accept
    UNION ALL BY NAME SELECT recording_id, host, pid, start_ns, comm, ts_ns, pid_ns, cgroup_id FROM tcp_close
),
lives AS (
    SELECT recording_id, any_value(host) AS host, pid, start_ns, arg_max(comm, ts_ns) AS comm, max(ts_ns) AS last_ns,
           arg_max(pid_ns, ts_ns) AS pid_ns, arg_max(cgroup_id, ts_ns) AS cgroup_id
    FROM seen WHERE pid IS NOT NULL AND start_ns IS NOT NULL GROUP BY recording_id, pid, start_ns
),
ends AS (
    SELECT recording_id, pid, start_ns, max(ts_ns) AS ts_ns, max(exit_code) AS exit_code, max(signal) AS signal
    FROM exit GROUP BY recording_id, pid, start_ns
),
programs AS (
    SELECT recording_id, pid, start_ns, list([ts_ns::VARCHAR, comm, filename, array_to_string(argv, chr(0))] ORDER BY ts_ns) AS execs,
           arg_max(argv, ts_ns) AS argv
    FROM exec GROUP BY recording_id, pid, start_ns
)
SELECT l.recording_id, l.pid, l.start_ns, l.host, l.comm, greatest(l.start_ns, b.start_ns),
       greatest(coalesce(e.ts_ns, b.end_ns, l.last_ns), l.start_ns), e.ts_ns IS NULL, e.exit_code, e.signal, p.execs, p.argv, c.label
FROM lives l LEFT JOIN bounds b ON b.recording_id = l.recording_id
LEFT JOIN ends e ON e.recording_id = l.recording_id AND e.pid = l.pid AND e.start_ns = l.start_ns
LEFT JOIN programs p ON p.recording_id = l.recording_id AND p.pid = l.pid AND p.start_ns = l.start_ns
LEFT JOIN container_context c ON c.recording_id = l.recording_id AND c.pid_ns = l.pid_ns AND c.cgroup_id = l.cgroup_id
ORDER BY l.start_ns, l.pid, l.recording_id
"""

_CONNECTS = """
SELECT recording_id, pid, start_ns, host, coalesce(syn_ns, ts_ns) AS from_ns, ts_ns, saddr, sport, daddr, dport, outcome, errno, latency_ns
FROM tcp_connect ORDER BY recording_id, pid, start_ns, from_ns, ts_ns, sport
"""

_CONNECTIONS = """
SELECT recording_id, pid, start_ns, host, ts_ns - coalesce(duration_ns, 0) AS from_ns, ts_ns, saddr, sport, daddr, dport, direction, bytes_sent,
       bytes_received, retransmits, srtt_us, errno
FROM tcp_close ORDER BY recording_id, pid, start_ns, from_ns, ts_ns, sport
"""

_LOSSES = """
SELECT recording_id, host, "table", ts_ns, interval_ns, lost FROM coverage
WHERE (recording_id, "table") IN (SELECT (recording_id, "table") FROM coverage WHERE lost > 0) AND unwritten IS NULL
ORDER BY recording_id, "table", ts_ns
"""

_EVENTS = """
SELECT recording_id, host, "table", ts_ns, interval_ns, events FROM coverage WHERE unwritten IS NULL ORDER BY recording_id, "table", ts_ns
"""

_DROPS = """
SELECT recording_id, any_value(host), rule, ts_ns, interval_ns, CAST(sum(packets) AS BIGINT)
FROM xdp_drop GROUP BY recording_id, rule, ts_ns, interval_ns ORDER BY recording_id, rule, ts_ns
"""


def _stream(sandbox: Sandbox, sql: str) -> Iterator[tuple[Any, ...]]:
    result = sandbox.execute(sandbox.prepare(sql, "export"), "export")
    return itertools.chain.from_iterable(result.batches)


def clocks(sandbox: Sandbox) -> list[tuple[int, int, int]]:
    """Return (boottime, monotonic, realtime) of each snapshot of the clocks, ns."""
    return [(row[0], row[1], row[2]) for row in sandbox.rows(_CLOCKS, ["clock", "recording"])]


def lives(sandbox: Sandbox) -> Iterator[Life]:
    """Yield every process that was seen."""
    for recording, pid, start_ns, host, comm, from_ns, to_ns, is_alive, exit_code, signal, execs, argv, container in _stream(sandbox, _LIVES):
        details: dict[str, object] = {"start_ns": start_ns}
        details |= {"end": "was not seen"} if is_alive else {"signal": signal} if signal else {"exit_code": exit_code}
        programs = [(int(ts_ns), name, filename, words) for ts_ns, name, filename, words in execs or ()]
        ends = [*(program[0] for program in programs[1:]), to_ns]
        yield Life(
            (recording, pid, start_ns),
            host,
            Slice(min(from_ns, to_ns), to_ns, comm or str(pid), "process", details),
            [
                Slice(
                    max(ts_ns, from_ns),
                    max(end_ns, ts_ns),
                    name or filename,
                    "exec",
                    {"filename": filename, "argv": (words or "").replace("\0", " ")},
                )
                for (ts_ns, name, filename, words), end_ns in zip(programs, ends, strict=False)  # one end without a program
            ],
            argv or (),
            [container] if container else (),
        )


def connects(sandbox: Sandbox) -> Iterator[Slices]:
    """Yield the connects of each process, from SYN to outcome."""
    for (*key, host), rows in itertools.groupby(_stream(sandbox, _CONNECTS), itemgetter(0, 1, 2, 3)):
        yield Slices((key[0], key[1], key[2]), host, map(_connect, rows))


def _connect(row: tuple[Any, ...]) -> Slice:
    from_ns, to_ns, saddr, sport, daddr, dport, outcome, errno, latency_ns = row[4:]
    details = {"outcome": outcome, "errno": errno, "latency_ns": latency_ns, "saddr": saddr, "sport": sport}
    return Slice(from_ns, to_ns, f"{endpoint(daddr, dport)} {outcome}", "tcp_connect", _known(details))


def connections(sandbox: Sandbox) -> Iterator[Slices]:
    """Yield the connections of each process that ended, from ESTABLISHED to their end."""
    for (*key, host), rows in itertools.groupby(_stream(sandbox, _CONNECTIONS), itemgetter(0, 1, 2, 3)):
        yield Slices((key[0], key[1], key[2]), host, map(_connection, rows))


def _connection(row: tuple[Any, ...]) -> Slice:
    from_ns, to_ns, saddr, sport, daddr, dport, direction, sent, received, retransmits, srtt_us, errno = row[4:]
    details = {"direction": direction, "bytes_sent": sent, "bytes_received": received, "retransmits": retransmits, "srtt_us": srtt_us}
    details |= {"errno": errno, "saddr": saddr, "sport": sport}
    return Slice(from_ns, to_ns, endpoint(daddr, dport), "tcp_close", _known(details))


def counters(sandbox: Sandbox) -> Iterator[Counter]:
    """Yield events and losses a second by table, and packets dropped a second by rule."""
    yield from _rates(_stream(sandbox, _EVENTS), "events of {}", "1/s")
    yield from _rates(_stream(sandbox, _LOSSES), "LOST of {}", "1/s")
    yield from _rates(_stream(sandbox, _DROPS), "dropped by {}", "packets/s")


def _rates(rows: Iterator[tuple[Any, ...]], name: str, unit: str) -> Iterator[Counter]:
    for (_, host, what), found in itertools.groupby(rows, itemgetter(0, 1, 2)):
        yield Counter(name.format(what), unit, host, _steps(row[3:] for row in found))


def _steps(rows: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, float]]:
    """Yield the rate of each interval at its beginning, and 0 where none follows."""
    end_ns = None
    for ts_ns, interval_ns, count in rows:
        if end_ns is not None and ts_ns > end_ns:
            yield end_ns, 0.0
        yield ts_ns, count * 1e9 / interval_ns if interval_ns else 0.0
        end_ns = ts_ns + interval_ns
    if end_ns is not None:
        yield end_ns, 0.0


def _known(details: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in details.items() if value is not None}
