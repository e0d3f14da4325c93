"""Narrow what every report reads: to a time, to a host, to a container. The views that reports read are narrowed, so that no report knows of it.

Tables of the recorder about itself stay whole, but for the intervals of coverage and cost. So do, in time, those whose rows say what was there all
along (process, tcp_socket, container), since rows of other tables refer to them. CONTRIBUTING.md has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from analyzer.cut import Context, Cut, Scope
from analyzer.errors import AnalyzerError, Exit
from analyzer.sql_error import near

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

_DURATION = re.compile(r"(?=.)" + "".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in ("h", "m", "s", "ms", "us")))
_UNITS_NS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000}
_SECONDS = re.compile(r"\d+(?:\.\d+)?")
_CLOCK_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
_LONGEST_NS = 1 << 60
_HINT = "5s, 1m30s or 250ms after the start; or UTC: 2026-11-23T08:40:25, or 08:40:25 of the day of the start."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 10

# What was merged begins with the first of its parts.
_RECORDINGS = "SELECT recording_id, host, min(start_ns) OVER (PARTITION BY timeline_id) FROM recording"

_OFFSETS = "SELECT recording_id, arg_min(realtime_ns - boottime_ns, boottime_ns) FROM clock GROUP BY recording_id"

_CONTEXTS = """
SELECT recording_id, pid_ns, cgroup_id, container_id, name, CASE WHEN host IS DISTINCT FROM nodename THEN nodename END
FROM container_context ORDER BY recording_id, pid_ns, cgroup_id
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user typed."""

    since: str | None = None
    until: str | None = None
    host: str | None = None
    container: str | None = None

    @property
    def words(self) -> str:
        """Return it as it was typed."""
        given = {"--since": self.since, "--until": self.until, "--host": self.host, "--container": self.container}
        return " ".join(f"{option} {text}" for option, text in given.items() if text is not None)


EVERYTHING = Asked()
"""Nothing was asked for: reports are over all of their recordings."""


def narrow(sandbox: Sandbox, asked: Asked) -> None:
    """Narrow all that the sandbox's reports will read to what was ``asked`` about.

    Raises AnalyzerError: 2 for times that are none, and hosts and containers that are not in the recordings; 65 where a recording does not tell.
    """
    if not asked.words:
        return
    about = {row[0]: row[1:] for row in sandbox.rows(_RECORDINGS, ["recording"])}
    wanted = _of_host([recording.id for recording in sandbox.recordings], {item: row[0] for item, row in about.items()}, asked.host)
    contexts = _contexts(sandbox, wanted, asked.container) if asked.container is not None else None
    clocks = _Clocks(dict(sandbox.rows(_OFFSETS, ["clock"])), {item: row[1] for item, row in about.items()})
    cuts = {}
    for item in wanted:
        since_ns = clocks.instant(item, "--since", asked.since)
        until_ns = clocks.instant(item, "--until", asked.until)
        if since_ns is not None and until_ns is not None and since_ns >= until_ns:
            hint = "What is asked about begins at the one and ends before the other."
            raise AnalyzerError(f"--since {asked.since} is not before --until {asked.until}.", hint)
        cuts[item] = Cut(since_ns, until_ns, None if contexts is None else frozenset(contexts.get(item, ())))
    sandbox.narrow(Scope(cuts, asked.words))


@dataclass(frozen=True, slots=True)
class _Clocks:
    """How the times that people give become those of a recording: ``offsets`` from CLOCK_BOOTTIME to UTC, and ``starts``, in ns."""

    offsets: Mapping[str, int]
    starts: Mapping[str, int]

    def instant(self, recording: str, option: str, text: str | None) -> int | None:
        """Return the time that ``text`` means in a recording, CLOCK_BOOTTIME in ns; None where there is no text."""
        if text is None:
            return None
        after_ns = duration(text)
        start_ns, offset_ns = self.starts.get(recording), self.offsets.get(recording)
        if after_ns is not None:
            if start_ns is None:
                raise AnalyzerError(f"{option} {text}: the recording does not tell when it began.", "Give the time in UTC.", Exit.RECORDING)
            return _bounded(option, text, start_ns + after_ns)
        if offset_ns is None or (start_ns is None and _CLOCK_TIME.fullmatch(text)):
            raise AnalyzerError(f"{option} {text}: the recording has no clock to tell.", "Give seconds from its start: 5s", Exit.RECORDING)
        when = _utc(option, text, _EPOCH + timedelta(microseconds=((start_ns or 0) + offset_ns) // 1000))
        return _bounded(option, text, (when - _EPOCH) // timedelta(microseconds=1) * 1000 - offset_ns)


def duration(text: str) -> int | None:
    """Return how many ns ``text`` (5s, 1m30s, 250ms, seconds alone) is, or None where it is no length of time."""
    if _SECONDS.fullmatch(text):
        return int(Decimal(text) * _UNITS_NS["s"])
    if match := _DURATION.fullmatch(text):
        return sum(int(Decimal(number) * _UNITS_NS[unit]) for unit, number in match.groupdict().items() if number)
    return None


def _utc(option: str, text: str, start: datetime) -> datetime:
    try:
        if _CLOCK_TIME.fullmatch(text):
            when = datetime.fromisoformat(f"{start:%Y-%m-%d}T{text}+00:00")
            return when if when >= start.replace(microsecond=0) else when + timedelta(days=1)
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise AnalyzerError(f"{option} {text}: that is no time.", _HINT) from None


def _bounded(option: str, text: str, time_ns: int) -> int:
    if not -_LONGEST_NS < time_ns < _LONGEST_NS:
        raise AnalyzerError(f"{option} {text}: that is too far away.", _HINT)
    return time_ns


def _of_host(recordings: list[str], hosts: Mapping[str, str], host: str | None) -> list[str]:
    if host is None:
        return recordings
    if found := [item for item in recordings if hosts.get(item) == host]:
        return found
    known = sorted({name for name in hosts.values() if name})
    raise AnalyzerError(f"There is no recording of host {host} among these.", near(host, known) or _some("Hosts", known))


def _contexts(sandbox: Sandbox, recordings: list[str], container: str) -> dict[str, list[Context]]:
    """Return the contexts of the container of that name, id, host name, or beginning of an id, by recording."""
    rows = [row for row in sandbox.rows(_CONTEXTS, ["container_context"]) if row[0] in recordings]
    found = [row for row in rows if container in row[3:]]
    if not found and container:
        found = [row for row in rows if row[3] and row[3].startswith(container)]
        if len(ids := {row[3] for row in found}) > 1:
            raise AnalyzerError(f"The ids of {len(ids)} containers begin with {container}.", _some("Ids", sorted(ids)))
    if not found:
        known = list(dict.fromkeys(name for row in rows for name in (row[4], row[5], row[3] and row[3][:12]) if name))
        raise AnalyzerError(f"There is no container {container} in what was recorded.", near(container, known) or _some("Containers", known))
    contexts: dict[str, list[Context]] = {}
    for row in found:
        contexts.setdefault(row[0], []).append((row[1], row[2]))
    return contexts


def _some(what: str, names: Iterable[str]) -> str:
    found = list(names)
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{what}: {', '.join(found[:_SHOWN]) or 'none'}{more}"
