"""What two recordings are compared by: the reports of ``queries/diff/``, each about one recording at a time, or all parts of a merged one.

Such a report returns ``what`` (a text that names the same thing in every recording), and may return ``events``, how often it was there, and
``latencies_ms``, how long each time took. Without ``events`` it is about what is there and what is not. Where a port is in that name it returns
``port``, too, and ``family``, the name without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
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
    """One thing in one recording: how often it was there, None where that is not asked, and how long it took.

    ``port`` is the port in its name, and ``family`` that name without it; None where it has none.
    """

    events: int | None = None
    latencies_ms: tuple[float, ...] = ()
    port: int | None = None
    family: str | None = None


def together(things: Sequence[Thing]) -> Thing:
    """Return what several things are together, such as one in all parts of a merged recording."""
    counts = [thing.events for thing in things if thing.events is not None]
    latencies_ms = tuple(chain.from_iterable(thing.latencies_ms for thing in things))
    return replace(things[0], events=sum(counts) if len(counts) == len(things) else None, latencies_ms=latencies_ms)


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
            what = row["what"]
            found = Thing(row.get("events"), tuple(row.get("latencies_ms") or ()), row.get("port"), row.get("family"))
            if what in things:
                things[what] = together((things[what], found))
            elif len(things) == _MOST:
                is_cut = True
            elif what is not None:
                things[what] = found
    return Side(things, trust, sum(_covered_ns(trust, window.recording) for window in trust.windows) / NANOSECONDS, is_cut)


def _covered_ns(trust: Trust, recording: str) -> int:
    return min((table.covered_ns for table in trust.tables if table.recording == recording and TABLES[table.table].tracer), default=0)
