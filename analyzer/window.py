"""What recordings say about themselves: their windows, which hooks failed, and how many events came and were lost.

These are the facts that trust.py judges by. They are read once for an answer, from the tables recording, probe and coverage.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analyzer.cut import WHOLE, Cut
from analyzer.meanwhile import meanwhile
from recorder.schema import NANOSECONDS

if TYPE_CHECKING:
    from analyzer.recording import Recording
    from analyzer.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Window:
    """What one recording covers. ``end_ns`` is that of the last coverage interval where the recording is unfinished.

    ``known`` is False where the row that describes the recording is missing. ``narrowed``: it is what was
    asked about, which may reach out of the recording. ``origin_ns`` is the start of the recording, from which reports count seconds.
    ``being_written``: a recorder was at work on it when it was opened.
    """

    recording: str
    start_ns: int
    end_ns: int
    clean: bool
    tracers: tuple[str, ...]
    filters: tuple[str, ...]
    known: bool = True
    narrowed: bool = False
    origin_ns: int = 0
    being_written: bool = False

    @property
    def since_s(self) -> float:
        """Return its begin in seconds from the start of the recording."""
        return (self.start_ns - self.origin_ns) / NANOSECONDS

    @property
    def seconds(self) -> float:
        """Return its length in seconds."""
        return (self.end_ns - self.start_ns) / NANOSECONDS


@dataclass(frozen=True, slots=True)
class Counts:
    """What the table coverage says about one table of one recording.

    ``events`` are those that are there. ``lost_from`` and ``lost_to`` are UTC, to the second.
    """

    events: int
    lost: int
    lost_from: str | None
    lost_to: str | None
    attached_ns: int
    interval_ns: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. ``counts`` and ``failed``, which has why a hook could not be attached, are by recording id and table."""

    windows: tuple[Window, ...]
    counts: Mapping[tuple[str, str], Counts]
    failed: Mapping[tuple[str, str], str]


_COUNTS = """
SELECT recording_id, "table", CAST(sum(events) - coalesce(sum(unwritten), 0) AS BIGINT), CAST(sum(lost) AS BIGINT),
       min(ts) FILTER (WHERE lost > 0), max(ts + to_microseconds(interval_ns // 1000)) FILTER (WHERE lost > 0),
       CAST(coalesce(sum(interval_ns) FILTER (WHERE attached AND unwritten IS NULL), 0) AS BIGINT),
       coalesce(max(interval_ns) FILTER (WHERE unwritten IS NULL), 0),
       coalesce(min(ts_ns) FILTER (WHERE unwritten IS NULL), 0), coalesce(max(ts_ns + interval_ns) FILTER (WHERE unwritten IS NULL), 0)
FROM coverage GROUP BY recording_id, "table"
"""

_FAILED = "SELECT recording_id, unnest(tables), hook, coalesce(reason, 'no reason given') FROM probe WHERE status <> 'attached' ORDER BY hook"


def read_facts(sandbox: Sandbox) -> Facts:
    """Return what the sandbox's recordings say about themselves, read once; raise AnalyzerError where a file of them cannot be read."""
    if sandbox.facts is None:
        sandbox.facts = _read(sandbox)
    return sandbox.facts


@contextlib.contextmanager
def facts_meanwhile(sandbox: Sandbox) -> Iterator[None]:
    """Read them beside the sandbox's own statement, which runs inside: small questions would else wait for them as long as for their rows."""
    if sandbox.facts is not None:
        yield
        return
    with sandbox.beside() as aside:
        with meanwhile(lambda: _read(aside), aside.interrupt) as facts:
            yield
        sandbox.facts = facts.get()


def _read(sandbox: Sandbox) -> Facts:
    known = {item: row[1:] for item, row in sandbox.about().items()}
    counts = {(row[0], row[1]): Counts(*row[2:4], *map(_second, row[4:6]), *row[6:]) for row in sandbox.read(_COUNTS, "coverage")}
    failed: dict[tuple[str, str], str] = {}
    for recording_id, table, hook, reason in sandbox.read(_FAILED, "probe"):
        failed.setdefault((recording_id, table), f"{hook} could not be attached: {reason}")
    cuts = sandbox.scope.cuts
    windows = (_narrowed(_window(recording, known, counts), cuts.get(recording.id, WHOLE)) for recording in sandbox.recordings)
    return Facts(tuple(windows), counts, failed)


def _second(when: object) -> str | None:
    # A datetime, or a text where it is beyond Python's years.
    return None if when is None else str(when)[:19]


def _narrowed(window: Window, cut: Cut) -> Window:
    if cut.since_ns is None and cut.until_ns is None:
        return window
    start_ns = window.start_ns if cut.since_ns is None else cut.since_ns
    end_ns = max(window.end_ns, start_ns) if cut.until_ns is None else cut.until_ns
    return replace(window, start_ns=min(start_ns, end_ns), end_ns=end_ns, narrowed=True)


def _window(recording: Recording, known: Mapping[str, tuple[Any, ...]], counts: Mapping[tuple[str, str], Counts]) -> Window:
    if recording.id not in known:
        return Window(recording.id, 0, 0, clean=False, tracers=(), filters=(), known=False)
    start_ns, end_ns, clean, tracers, filters = known[recording.id]
    if end_ns is None:  # then the last coverage interval is the only sign of how far it goes
        clean, end_ns = False, max((count.last_ns for key, count in counts.items() if key[0] == recording.id), default=start_ns)
    return Window(recording.id, start_ns, end_ns, clean, tuple(tracers), tuple(filters), origin_ns=start_ns, being_written=recording.being_written)
