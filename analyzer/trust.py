"""Say what a result rests on: were the tracers of its tables attached, how many events were lost, did the recording end cleanly.

"No rows" and "not recorded" are different answers, and only this can tell them apart. Assessing and wording are apart, so that
other formats can show the same assessment in their own way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from analyzer.text import printable
from recorder.schema import NANOSECONDS, TABLES, restricts

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox


class Verdict(IntEnum):
    """How far a table's rows can be trusted, from best to worst."""

    COMPLETE = 0
    FILTERED = 1
    UNFINISHED = 2
    LOSSY = 3
    PARTIAL = 4
    NOT_RECORDED = 5

    @property
    def label(self) -> str:
        """Return the verdict as people read it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Window:
    """What one recording covers. ``end_ns`` is that of the last coverage interval where the recording is unfinished.

    ``known`` is False where the row that describes the recording is missing.
    """

    recording: str
    start_ns: int
    end_ns: int
    clean: bool
    tracers: tuple[str, ...]
    filters: tuple[str, ...]
    known: bool = True

    @property
    def seconds(self) -> float:
        """Return its length in seconds."""
        return (self.end_ns - self.start_ns) / NANOSECONDS


@dataclass(frozen=True, slots=True)
class TableTrust:
    """How far the rows of one table in one recording can be trusted.

    ``covered_ns`` is how long its tracer was attached in the window; ``lost_from`` and ``lost_to`` are UTC, to the second.
    """

    recording: str
    table: str
    verdict: Verdict
    covered_ns: int = 0
    events: int = 0
    lost: int = 0
    lost_from: str | None = None
    lost_to: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the table coverage says about one table of one recording."""

    events: int
    lost: int
    lost_from: str | None
    lost_to: str | None
    attached_ns: int
    interval_ns: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Trust:
    """What a result over some tables of some recordings rests on."""

    windows: tuple[Window, ...]
    tables: tuple[TableTrust, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all."""
        found = [table.verdict for table in self.tables]
        found += [Verdict.UNFINISHED for window in self.windows if not window.clean]
        return max(found, default=Verdict.COMPLETE)


_RECORDINGS = "SELECT recording_id, start_ns, end_ns, coalesce(clean_end, false), tracers, filters FROM recording"

_COUNTS = """
SELECT recording_id, "table", CAST(sum(events) AS BIGINT), CAST(sum(lost) AS BIGINT),
       strftime(min(ts) FILTER (WHERE lost > 0), '%Y-%m-%d %H:%M:%S'),
       strftime(max(ts + to_microseconds(interval_ns // 1000)) FILTER (WHERE lost > 0), '%Y-%m-%d %H:%M:%S'),
       CAST(coalesce(sum(interval_ns) FILTER (WHERE attached), 0) AS BIGINT), max(interval_ns), min(ts_ns), max(ts_ns + interval_ns)
FROM coverage GROUP BY recording_id, "table"
"""

_FAILED = "SELECT recording_id, unnest(tables), hook, coalesce(reason, 'no reason given') FROM probe WHERE status <> 'attached' ORDER BY hook"


def assess(sandbox: Sandbox, tables: Iterable[str], optional: Collection[str] = ()) -> Trust:
    """Return what a result over ``tables`` of the sandbox's recordings rests on.

    That a recording was not asked for one of the ``optional`` tables is no doubt.
    """
    meta = ["recording", "probe", "coverage"]
    known = {row[0]: row[1:] for row in sandbox.rows(_RECORDINGS, meta)}
    counts = {(row[0], row[1]): _Counts(*row[2:]) for row in sandbox.rows(_COUNTS, meta)}
    failed: dict[tuple[str, str], str] = {}
    for recording_id, table, hook, reason in sandbox.rows(_FAILED, meta):
        failed.setdefault((recording_id, table), f"{hook} could not be attached: {reason}")
    windows = tuple(_window(recording.id, known, counts) for recording in sandbox.recordings)
    found = []
    for window in windows:
        for table in sorted(tables):
            key = (window.recording, table)
            tracer = TABLES[table].tracer if table in TABLES else None
            is_missed = table not in optional or tracer in window.tracers or not window.known
            if tracer and is_missed:
                found.append(_traced(window, table, counts.get(key), failed.get(key, "")))
    return Trust(windows, tuple(found))


def _window(recording: str, known: Mapping[str, tuple[Any, ...]], counts: Mapping[tuple[str, str], _Counts]) -> Window:
    if recording not in known:
        return Window(recording, 0, 0, clean=False, tracers=(), filters=(), known=False)
    start_ns, end_ns, clean, tracers, filters = known[recording]
    if end_ns is None:  # then the last coverage interval is the only sign of how far it goes
        clean, end_ns = False, max((count.last_ns for key, count in counts.items() if key[0] == recording), default=start_ns)
    return Window(recording, start_ns, end_ns, clean, tuple(tracers), tuple(filters))


def _traced(window: Window, table: str, counts: _Counts | None, failed: str) -> TableTrust:
    tracer = TABLES[table].tracer
    if not window.known:
        return TableTrust(window.recording, table, Verdict.UNFINISHED)
    if counts is None or counts.attached_ns == 0:
        reason = f"tracer {tracer} was never attached" if tracer in window.tracers else f"tracer {tracer} was not asked for"
        return TableTrust(window.recording, table, Verdict.NOT_RECORDED, reason=failed or reason)
    # The first and the last interval may stick out of the window.
    covered_ns = counts.attached_ns - max(0, window.start_ns - counts.first_ns) - max(0, counts.last_ns - window.end_ns)
    verdict = Verdict.FILTERED if any(restricts(word, table) for word in window.filters) else Verdict.COMPLETE
    # Coverage is counted by intervals: a gap shorter than one cannot be told.
    if failed or window.end_ns - window.start_ns - covered_ns > counts.interval_ns:
        verdict = Verdict.PARTIAL
    elif counts.lost:
        verdict = Verdict.LOSSY
    return TableTrust(window.recording, table, verdict, covered_ns, counts.events, counts.lost, counts.lost_from, counts.lost_to, failed)


def line(trust: Trust, names: dict[str, str]) -> str:
    """Return one line about ``trust`` for people; ``names`` has what to call each recording id. No control characters are in it."""
    doubts = [text for window in trust.windows for text in _doubts(window, trust)]
    many = len(trust.windows) > 1
    shown = [f"{names[recording]}: {text}" if many else text for recording, text in doubts]
    text = f"coverage: {trust.verdict.label}: " + ("; ".join(shown) if shown else _all_is_well(trust))
    if trust.verdict == Verdict.NOT_RECORDED:
        text += " (so no rows do not mean that nothing happened)"
    return printable(text)


def _doubts(window: Window, trust: Trust) -> list[tuple[str, str]]:
    texts = []
    reasons: dict[str, list[str]] = {}
    for table in trust.tables:
        if table.recording != window.recording:
            continue
        if table.verdict == Verdict.NOT_RECORDED:
            reasons.setdefault(f"not recorded: {table.reason}", []).append(table.table)
        elif table.verdict == Verdict.PARTIAL:
            what = f"attached for {table.covered_ns / NANOSECONDS:.1f} of {window.seconds:.1f} s" + (f", {table.reason}" if table.reason else "")
            reasons.setdefault(what, []).append(table.table)
        if table.lost:
            when = f" between {table.lost_from[11:]} and {table.lost_to[11:]} UTC" if table.lost_from and table.lost_to else ""
            texts.append(f"{table.lost:,} of {table.events + table.lost:,} {table.table} events lost{when}")
    texts = [f"{_listed(tables)} {reason}" for reason, tables in reasons.items()] + texts
    if not window.known:
        texts.append("unfinished, and nothing tells what was asked for: its table recording is missing")
    elif not window.clean:
        texts.append(f"unfinished, killed or still being written: what is here ends after {window.seconds:.1f} s")
    tables = [table.table for table in trust.tables if table.recording == window.recording]
    if words := [word for word in window.filters if any(restricts(word, table) for table in tables)]:
        texts.append(f"only what {' and '.join(words)} let through was recorded")
    return [(window.recording, text) for text in texts]


def _all_is_well(trust: Trust) -> str:
    traced = [table for table in trust.tables if TABLES[table.table].tracer]
    if not traced:
        return "what was read needs no tracer"
    names = list(dict.fromkeys(table.table for table in traced))
    seconds = sum(window.seconds for window in trust.windows)
    where = f" in {len(trust.windows)} recordings" if len(trust.windows) > 1 else ""
    return f"{_listed(names)} attached for all of {seconds:.1f} s{where}, none of {sum(table.events for table in traced):,} events lost"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
