"""What two recordings are compared by: the reports of ``queries/diff/``, each about one recording at a time, or all parts of a merged one.

Such a report returns ``what`` (a text that names the same thing in every recording), and may return ``events``, how often it was there, and
``latencies_ms``, how long each time took. Without ``events`` it is about what is there and what is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.header import GROUPS
from analyzer.report import Report, find, queries_folder
from analyzer.trust import Trust, Verdict, assess
from recorder.schema import NANOSECONDS, TABLES

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing in one recording: how often it was there, None where that is not asked, and how long it took."""

    events: int | None = None
    latencies_ms: tuple[float, ...] = ()

    def and_of(self, other: Thing) -> Thing:
        """Return the same thing in both of two recordings."""
        events = None if self.events is None or other.events is None else self.events + other.events
        return Thing(events, (*self.latencies_ms, *other.latencies_ms))


@dataclass(frozen=True, slots=True)
class Side:
    """One aspect of one recording, or of all parts of a merged one.

    ``seconds`` is how long all of its tables were being recorded, of parts in sum; ``is_cut``: there was more than is here.
    """

    things: dict[str, Thing]
    trust: Trust
    seconds: float
    is_cut: bool

    @property
    def missing(self) -> str | None:
        """Return why nothing can be said of it, None where something can."""
        if self.seconds > 0:
            return None
        for table in self.trust.tables:
            if table.verdict == Verdict.NOT_RECORDED:
                return f"{table.table} was not recorded there: {table.reason}"
        return "it has no length there"


def aspects() -> list[Report]:
    """Return the reports that two recordings are compared by."""
    folder = queries_folder() / "diff"
    found = [find(str(path)) for path in sorted(folder.glob("*.sql"))]
    named = [Report(path.stem, report.sql, report.header) for path, report in zip(sorted(folder.glob("*.sql")), found, strict=True)]
    return sorted(named, key=lambda report: GROUPS.index(report.header.group) if report.header else 0)


def look(sandbox: Sandbox, aspect: Report) -> Side:
    """Return one aspect of the sandbox's recording, or of the parts of it together. Raises AnalyzerError where a file is damaged."""
    statement = sandbox.prepare(aspect.sql, aspect.name)
    trust = assess(sandbox, statement.tables)
    result = sandbox.execute(statement, aspect.name)
    names = [field.name for field in result.fields]
    things: dict[str, Thing] = {}
    is_cut = False
    for batch in result.batches:
        for values in batch:
            row = dict(zip(names, values, strict=True))
            what, found = row["what"], Thing(row.get("events"), tuple(row.get("latencies_ms") or ()))
            if what in things:
                things[what] = things[what].and_of(found)
            elif len(things) == _MOST:
                is_cut = True
            elif what is not None:
                things[what] = found
    return Side(things, trust, sum(_covered_ns(trust, window.recording) for window in trust.windows) / NANOSECONDS, is_cut)


def _covered_ns(trust: Trust, recording: str) -> int:
    return min((table.covered_ns for table in trust.tables if table.recording == recording and TABLES[table.table].tracer), default=0)
