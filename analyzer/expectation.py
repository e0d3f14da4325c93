"""Expectations: reports that say how many rows they must have, and what can be concluded from the rows that were found."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from analyzer.errors import AnalyzerError
from analyzer.report import Report, bundled_checks, find
from analyzer.sql_error import near

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RULE = re.compile(r"rows (=|!=|<=?|>=?) (\d{1,18})")


class Outcome(StrEnum):
    """What came of an expectation."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Rule:
    """How many rows there must be, e.g. ``rows >= 1``."""

    compare: str
    rows: int

    def __str__(self) -> str:
        return f"rows {self.compare} {self.rows}"

    def judge(self, found: int, is_settled: bool) -> Outcome:
        """Return what ``found`` rows mean. Unless ``is_settled`` there may have been more of them than the recording has, but not fewer."""
        # Nothing changes beyond one more than the bound, so that these numbers stand for all that there could have been.
        possible = {found} if is_settled else {found, *(rows for rows in (self.rows, self.rows + 1) if rows > found)}
        holds = {_COMPARE[self.compare](rows, self.rows) for rows in possible}
        if len(holds) > 1:
            return Outcome.UNKNOWN
        return Outcome.PASS if holds == {True} else Outcome.FAIL


NO_ROWS = Rule("=", 0)


def rule_of(report: Report) -> Rule:
    """Return what a report's header expects, no rows where it says nothing; raise AnalyzerError where that cannot be read."""
    text = report.header.expect if report.header else ""
    if not text:
        return NO_ROWS
    match = _RULE.fullmatch(text)
    if not match:
        raise AnalyzerError(
            f"{report.name}: its header expects {text!r}, which cannot be read.", "Expect: rows = 0, or one of != < <= > >=, and a number"
        )
    return Rule(match[1], int(match[2]))


def find_expectations(name: str) -> list[Report]:
    """Return the expectations that ``name`` means: those of a folder, or the one that find() finds."""
    if Path(name).is_dir():
        found = sorted(Path(name).glob("*.sql"))
        if not found:
            raise AnalyzerError(f"{name} is neither a recording nor a folder of expectations: there is no .sql file in it.")
        return [find(f"{path.parent}/{path.name}") for path in found]
    try:
        return [find(name)]
    except AnalyzerError as error:
        error.hint = near(name, bundled_checks()) or f"Bundled expectations: {', '.join(bundled_checks())}. A path ends in .sql."
        raise
