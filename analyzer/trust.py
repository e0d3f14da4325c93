"""Judge what a result rests on: were the tracers of its tables attached, how many events were lost, did the recording end cleanly.

"No rows" and "not recorded" are different answers, and only this can tell them apart. The facts are window.py's, the words wording.py's, so that
each format can show the same judgement in its own way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from analyzer.window import Counts, Window, read_facts
from recorder.schema import TABLES, restricts, restricts_deeds

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

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is in doubt."""
        return self.verdict == Verdict.COMPLETE

    @property
    def is_settled(self) -> bool:
        """Say whether there were no more rows than those here.

        A filter by who did something (a process, user, container) says what a recording is about: of those nothing is missing. One by what was
        done (a port, an address) hides just what is asked for.
        """
        filters = {window.recording: window.filters for window in self.windows}
        words = [(word, table.table) for table in self.tables for word in filters[table.recording]]
        return self.verdict <= Verdict.FILTERED and not any(restricts(word, table) and restricts_deeds(word) for word, table in words)


def assess(sandbox: Sandbox, tables: Iterable[str], optional: Collection[str] = ()) -> Trust:
    """Return what a result over ``tables`` of the sandbox's recordings rests on.

    That a recording was not asked for one of the ``optional`` tables is no doubt.
    """
    facts = read_facts(sandbox)
    found = []
    for window in facts.windows:
        for table in sorted(tables):
            key = (window.recording, table)
            tracer = TABLES[table].tracer if table in TABLES else None
            is_missed = table not in optional or tracer in window.tracers or not window.known
            if tracer and is_missed:
                found.append(_traced(window, table, facts.counts.get(key), facts.failed.get(key, "")))
    return Trust(facts.windows, tuple(found))


def _why_not(window: Window, tracer: str | None, counts: Counts | None) -> str:
    """Return why nothing was recorded of a table that ``tracer`` makes."""
    if tracer not in window.tracers:
        return f"tracer {tracer} was not asked for"
    if counts is None and window.narrowed:
        return "the recording has nothing of that time"
    return "no second of it was written" if counts is None and not window.clean else f"tracer {tracer} was never attached"


def _traced(window: Window, table: str, counts: Counts | None, failed: str) -> TableTrust:
    tracer = TABLES[table].tracer
    if not window.known:
        return TableTrust(window.recording, table, Verdict.UNFINISHED)
    if counts is None or counts.attached_ns == 0:
        return TableTrust(window.recording, table, Verdict.NOT_RECORDED, reason=failed or _why_not(window, tracer, counts))
    # The first and the last interval may stick out of the window.
    covered_ns = max(0, counts.attached_ns - max(0, window.start_ns - counts.first_ns) - max(0, counts.last_ns - window.end_ns))
    verdict = Verdict.FILTERED if any(restricts(word, table) for word in window.filters) else Verdict.COMPLETE
    # Coverage is counted by intervals: a gap shorter than one cannot be told.
    if failed or window.end_ns - window.start_ns - covered_ns > counts.interval_ns:
        verdict = Verdict.PARTIAL
    elif counts.lost:
        verdict = Verdict.LOSSY
    return TableTrust(window.recording, table, verdict, covered_ns, counts.events, counts.lost, counts.lost_from, counts.lost_to, failed)
