"""Hold recordings against expectations: run each, and decide what its rows and their coverage allow to be said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.answer import Answer, ask
from analyzer.errors import AnalyzerError, Exit
from analyzer.expectation import NO_ROWS, Outcome, Rule, rule_of
from analyzer.report import Report
from analyzer.result import Field
from analyzer.sandbox import Sandbox
from analyzer.watch import watched
from analyzer.wording import line, said

SHOWN_ROWS = 10
"""How many of the offending rows are shown."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one expectation.

    ``why`` is a sentence, ``lines`` are notes and coverage, ``sample`` has the first of the ``rows`` that were found. ``excerpt`` shows the place of
    an error in the SQL.
    """

    name: str
    title: str
    outcome: Outcome
    why: str
    seconds: float
    rule: Rule | None = None
    rows: int = 0
    fields: tuple[Field, ...] = ()
    sample: tuple[tuple[Any, ...], ...] = ()
    lines: tuple[str, ...] = ()
    excerpt: str = ""


def check_all(sandbox: Sandbox, reports: Sequence[Report], given: Sequence[str], strict: bool) -> Iterable[Checked]:
    """Yield what comes of each expectation. Each takes of the parameters ``given`` (NAME=VALUE) those that it has; one that none has is refused.

    ``strict`` asks for recordings without filters, too. Raises AnalyzerError where a recording cannot be read.
    """
    for item in given:
        name = item.partition("=")[0]
        if not any(_takes(report, name) for report in reports):
            raise AnalyzerError(f"None of the expectations has a parameter {name}.")
    for report in reports:
        yield _check(sandbox, report, [item for item in given if _takes(report, item.partition("=")[0])], strict)


def _takes(report: Report, name: str) -> bool:
    declared = report.header.parameters if report.header else ()
    return any(parameter.name == name for parameter in declared) or f"${name}" in report.sql


def _check(sandbox: Sandbox, report: Report, given: Sequence[str], strict: bool) -> Checked:
    begin = time.monotonic()
    title = report.header.title if report.header else ""
    try:
        rule = rule_of(report)
        with watched(sandbox, report.name):
            answer = ask(sandbox, report, report.values(given)).for_eyes()
            sample, rows = _read(answer)
    except AnalyzerError as error:
        if error.code == Exit.UNDECIDED:
            return Checked(report.name, title, Outcome.UNKNOWN, error.message, time.monotonic() - begin)
        if error.code != Exit.USAGE:  # a recording that cannot be read, and a disk that is full, are not this expectation's
            raise
        why = f"{error.message} {error.hint}".rstrip()
        return Checked(report.name, title, Outcome.ERROR, why, time.monotonic() - begin, excerpt=error.excerpt)
    outcome = rule.judge(rows, answer.is_settled and not (strict and not answer.is_complete))
    why = _why(rule, rows, outcome, answer)
    seconds = time.monotonic() - begin
    return Checked(report.name, title, outcome, why, seconds, rule, rows, answer.fields, tuple(sample), tuple(said(answer)))


def _read(answer: Answer) -> tuple[list[tuple[Any, ...]], int]:
    """Return the first rows of ``answer``, and how many it has."""
    sample: list[tuple[Any, ...]] = []
    rows = 0
    for batch in answer.result.batches:
        sample += batch[: SHOWN_ROWS - len(sample)]
        rows += len(batch)
    return sample, rows


def _why(rule: Rule, rows: int, outcome: Outcome, answer: Answer) -> str:
    found = {0: "no rows", 1: "1 row"}.get(rows, f"{rows:,} rows")
    expected = "expected none" if rule == NO_ROWS else f"expected {rule}"
    if outcome != Outcome.UNKNOWN:
        return found if rule == NO_ROWS and rows == 0 else f"{found}, {expected}"
    doubt = line(answer.trust, answer.names).removeprefix("coverage: ") if answer.trust else ""
    return f"{found}, {expected}, but what was recorded cannot tell: {doubt}"
