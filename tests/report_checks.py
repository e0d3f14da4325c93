"""What every report with a header has to be: true of itself, and SQL that runs elsewhere, too."""

from __future__ import annotations

import re
from typing import Any

from analyzer.recording import Recording
from analyzer.report import Report
from analyzer.result import Result
from analyzer.sandbox import open_sandbox
from analyzer.statement import Statement


def run(report: Report, recording: Recording, *given: str) -> tuple[Statement, Result, list[tuple[Any, ...]]]:
    with open_sandbox([recording]) as sandbox:
        statement = sandbox.prepare(report.sql, report.name)
        result = sandbox.execute(statement, report.name, report.values(given))
        return statement, result, [row for batch in result.batches for row in batch]


def assert_header_is_true(report: Report, recording: Recording, *given: str) -> None:
    """Hold a report's header against what it returns and reads, over a recording in which it finds something with these parameters."""
    assert report.header is not None
    statement, result, rows = run(report, recording, *given)
    assert [(column.name, column.type) for column in report.header.columns] == [(field.name, field.type) for field in result.fields]
    assert set(report.header.tables) == statement.tables
    assert {parameter.name for parameter in report.header.parameters} == statement.parameters
    assert report.header.question.endswith("?")
    assert report.header.lies(statement.tables, statement.parameters, result.fields) == []
    assert result.fields[-1].name == "recording_id"
    assert rows, "the hand-written rows must show something in each report"


def assert_portable(sql: str) -> None:
    """Hold a report's SQL against the subset that runs unchanged on Spark, ordered to its end."""
    assert re.search(r"\bORDER BY\b[^()]*\Z", portable_code(sql))


def portable_code(sql: str) -> str:
    """Return SQL without its comments, once it is held against the subset that runs unchanged on Spark."""
    code = re.sub(r"--[^\n]*", "", sql)
    assert not re.search(r"\b(ASOF|PIVOT|bar|QUALIFY|EXCLUDE|FILTER)\b|SELECT\s+\*|//|::|\.\*", code, re.IGNORECASE)
    return code
