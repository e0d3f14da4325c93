"""What recordings tell of each other's clocks: their boots, their wall clocks, and connections that were seen from both ends.

A connection bounds the distance of two clocks by what has to come first, so that no wall clock need be right: the server's end is ESTABLISHED after
the client's (the ACK of the handshake has to arrive), and a client that received data was closed after the server's process had accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analyzer.merge.interval import Interval, Point, interval

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

_SLOTS = 2_000
"""Into so many lengths of time a recording is divided; of each only the connections that tell most are kept."""

_ABOUT = """
SELECT r.recording_id, r.host, r.boot_id, r.start_ns, r.end_ns, arg_min(c.realtime_ns - c.boottime_ns, c.boottime_ns),
    min(c.realtime_ns - c.boottime_ns - c.width_ns), max(c.realtime_ns - c.boottime_ns + c.width_ns), max(c.boottime_ns),
    CASE WHEN bool_and(coalesce(c.is_synchronized AND c.esterror_us > 0 AND c.maxerror_us BETWEEN 1 AND 16000000, false))
        THEN max(c.maxerror_us) * 1000 END
FROM recording r LEFT JOIN clock c ON c.recording_id = r.recording_id GROUP BY ALL
"""

_MOST = 500_000
"""So many connections are looked at: of more, those with certain hashes, which both ends choose alike. So memory does not grow."""

_CONNECTS = """
outcome = 'connected' AND NOT is_fastopen AND NOT is_mptcp AND saddr_scope IN ('private', 'global') AND daddr_scope IN ('private', 'global')
"""
_ACCEPTS = "queued_ns IS NOT NULL AND NOT is_mptcp AND saddr_scope IN ('private', 'global') AND daddr_scope IN ('private', 'global')"
_CLOSES = "direction = 'outbound' AND bytes_received > 0 AND NOT is_mptcp"

# Addresses of servers that one host connects to, and another accepts at: most connections are of none of them.
_SERVERS = f"""
SELECT DISTINCT a.saddr
FROM (SELECT DISTINCT recording_id, saddr FROM tcp_accept WHERE {_ACCEPTS}) a
JOIN (SELECT DISTINCT recording_id, daddr FROM tcp_connect WHERE {_CONNECTS}) c ON c.daddr = a.saddr AND c.recording_id <> a.recording_id
"""

_COUNT = f"SELECT count(*) FROM tcp_connect WHERE {_CONNECTS} AND daddr IN ({_SERVERS})"

# Of a connection that two hosts saw there is one connect and one accept in all recordings. Addresses that are used again on other hosts (containers),
# and ports that are used again, are found more often, and say nothing. Hashes in the place of addresses keep memory small.
_PAIRS = """
WITH servers AS ({servers}),
ends AS (
    SELECT recording_id, 0 AS side, hash(saddr, sport, daddr, dport) AS connection, ts_ns AS at_ns, CAST(NULL AS BIGINT) AS queued_ns
    FROM tcp_connect WHERE {connects} AND daddr IN (FROM servers) AND hash(saddr, sport, daddr, dport) % {share} = 0
    UNION ALL
    SELECT recording_id, 1, hash(daddr, dport, saddr, sport), ts_ns, queued_ns
    FROM tcp_accept WHERE {accepts} AND saddr IN (FROM servers) AND hash(daddr, dport, saddr, sport) % {share} = 0
    UNION ALL
    SELECT recording_id, 2, hash(saddr, sport, daddr, dport), ts_ns, NULL
    FROM tcp_close WHERE {closes} AND daddr IN (FROM servers) AND hash(saddr, sport, daddr, dport) % {share} = 0
),
pairs AS (
    SELECT
        max(recording_id) FILTER (WHERE side = 0) AS client, max(recording_id) FILTER (WHERE side = 1) AS server,
        max(at_ns) FILTER (WHERE side = 0) AS connected_ns, max(at_ns) FILTER (WHERE side = 1) AS accepted_ns, max(queued_ns) AS queued_ns,
        CASE WHEN count(*) FILTER (WHERE side = 2) = 1 THEN max(at_ns) FILTER (WHERE side = 2) END AS closed_ns
    FROM ends GROUP BY connection
    HAVING count(*) FILTER (WHERE side = 0) = 1 AND count(*) FILTER (WHERE side = 1) = 1
),
told AS (
    SELECT
        client, server, connected_ns, closed_ns, connected_ns - (accepted_ns - queued_ns) AS least_ns, closed_ns - accepted_ns AS most_ns,
        min(connected_ns) OVER hosts AS first_ns, max(connected_ns) OVER hosts - min(connected_ns) OVER hosts AS span_ns
    FROM pairs WHERE client <> server WINDOW hosts AS (PARTITION BY client, server)
)
SELECT
    client, server, count(*), max(least_ns), arg_max(connected_ns, least_ns), min(most_ns), arg_min(closed_ns, most_ns)
FROM told
GROUP BY client, server, (connected_ns - first_ns) // (span_ns // {slots} + 1)
ORDER BY client, server, min(connected_ns)
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What a recording tells of its clocks.

    Its times are from ``start_ns`` to ``end_ns``. ``offset_ns`` is by what its wall clock was ahead of its CLOCK_BOOTTIME in the beginning, None
    where no row of ``clock`` tells; ``offsets`` is between what it ever was. ``error_ns`` bounds how wrong the wall clock was, where what corrects it
    said so throughout. systemd-timesyncd says 0, also while it slews away 0.4 s (manager_adjust_clock): that is no bound, and it says the same of the
    likely error, which NTP and PTP daemons know.
    """

    name: str | None
    boot_id: str | None
    start_ns: int
    end_ns: int
    offset_ns: int | None
    offsets: Interval
    error_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Connections between two hosts, of which each has an end: how many, and what they say of how far the second's clock is from the first's.

    ``apart`` is None where they contradict each other.
    """

    count: int
    apart: Interval | None


def hosts(sandbox: Sandbox) -> list[Host | None]:
    """Return what each of the sandbox's recordings tells of its clocks; None for one that does not tell when it began."""
    found = {row[0]: _host(*row[1:]) for row in sandbox.rows(_ABOUT, ["recording", "clock"])}
    return [found.get(recording.id) for recording in sandbox.recordings]


def _host(
    name: str | None,
    boot_id: str | None,
    start_ns: int,
    end_ns: int | None,
    offset_ns: int | None,
    least: int | None,
    most: int | None,
    last: int | None,
    error_ns: int | None,
) -> Host:
    end = max(start_ns, end_ns if end_ns is not None else last or start_ns)
    offsets = Interval() if least is None or most is None else Interval(least, most)
    return Host(name, boot_id, start_ns, end, offset_ns, offsets, error_ns)


def connections(sandbox: Sandbox, known: Sequence[Host]) -> dict[tuple[int, int], Seen]:
    """Return what connections say, by the numbers of two recordings, the lower first: what is added to the second's times to be the first's."""
    numbers = {recording.id: number for number, recording in enumerate(sandbox.recordings)}
    found: dict[tuple[int, int], _Points] = {}
    tables = ["tcp_connect", "tcp_accept", "tcp_close"]
    count = sandbox.rows(_COUNT, tables)[0][0]
    words = {"servers": _SERVERS, "connects": _CONNECTS, "accepts": _ACCEPTS, "closes": _CLOSES, "slots": _SLOTS}
    pairs = sandbox.rows(_PAIRS.format(**words, share=count // _MOST + 1), tables) if count else []
    for client, server, count, least_ns, connected_ns, most_ns, closed_ns in pairs:
        one, two = numbers[client], numbers[server]
        points = found.setdefault((min(one, two), max(one, two)), _Points())
        points.count += count
        for time_ns, apart_ns, is_low in ((connected_ns, least_ns, True), (closed_ns, most_ns, False)):
            if time_ns is None:
                continue
            if one < two:
                (points.lows if is_low else points.highs).append((time_ns, apart_ns))
            else:  # then the server's clock is the first one
                (points.highs if is_low else points.lows).append((time_ns - apart_ns, -apart_ns))
    return {pair: Seen(points.count, points.interval(known[pair[0]], known[pair[1]])) for pair, points in found.items()}


@dataclass(slots=True)
class _Points:
    """What connections between two hosts say at single times of the first one's clock."""

    lows: list[Point] = field(default_factory=list)
    highs: list[Point] = field(default_factory=list)
    count: int = 0

    def interval(self, one: Host, two: Host) -> Interval | None:
        """Return what holds as long as one of both recordings went on; None where they contradict each other."""
        about_ns = (self.lows or self.highs)[0][1]
        window = min(one.start_ns, two.start_ns + about_ns), max(one.end_ns, two.end_ns + about_ns)
        return interval(self.lows, self.highs, window)
