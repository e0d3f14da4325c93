"""What two recordings are compared by: the reports of ``queries/diff/``, each about one recording at a time.

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


@dataclass(frozen=True, slots=True)
class Side:
    """One aspect of one recording. ``seconds`` is how long all of its tables were being recorded; ``is_cut``: there was more than is here."""

    things: dict[str, Thing]
    trust: Trust
    seconds: float
    is_cut: bool

    @property
    def missing(self) -> str | None:
        """Return why nothing can be said of it, None where something can."""
        for table in self.trust.tables:
            if table.verdict == Verdict.NOT_RECORDED:
                return f"{table.table} was not recorded there: {table.reason}"
        return None if self.seconds > 0 else "it has no length there"


def aspects() -> list[Report]:
    """Return the reports that two recordings are compared by."""
    folder = queries_folder() / "diff"
    found = [find(str(path)) for path in sorted(folder.glob("*.sql"))]
    named = [Report(path.stem, report.sql, report.header) for path, report in zip(sorted(folder.glob("*.sql")), found, strict=True)]
    return sorted(named, key=lambda report: GROUPS.index(report.header.group) if report.header else 0)


def look(sandbox: Sandbox, aspect: Report) -> Side:
    """Return one aspect of the sandbox's only recording. Raises AnalyzerError where a file is damaged."""
    statement = sandbox.prepare(aspect.sql, aspect.name)
    trust = assess(sandbox, statement.tables)
    result = sandbox.execute(statement, aspect.name)
    names = [field.name for field in result.fields]
    things: dict[str, Thing] = {}
    is_cut = False
    for batch in result.batches:
        for values in batch:
            row = dict(zip(names, values, strict=True))
            if len(things) == _MOST:
                is_cut = True
            elif row["what"] is not None:
                things[row["what"]] = Thing(row.get("events"), tuple(row.get("latencies_ms") or ()))
    traced = [table.covered_ns for table in trust.tables if TABLES[table.table].tracer]
    return Side(things, trust, min(traced, default=0) / NANOSECONDS, is_cut)
