"""Headers of a user's own reports: none is needed, and one that is wrong is said in a note and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analyzer.conftest import Analyze, error_of

SQL = "SELECT pid, comm FROM exec WHERE pid >= $least ORDER BY pid LIMIT 1"

LIES = """-- Mine
-- Question: which?
-- Tables: exit, cost
-- Columns:
--   pid   BIGINT   -  the process
--   gone  VARCHAR  -  no such column
--   what
-- Parameters:
--   least  BIGINT  700  the first process
--   most   BIGINT  900  not used
-- Bars: comm
"""


def test_a_header_that_lies_is_noted_and_the_report_runs(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(LIES + SQL)
    done = analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "pid,comm\n700,env\n")
    notes = [line.removeprefix("note: mine.sql's header: ") for line in done.stderr.splitlines()]
    assert notes == [
        "the line 'what' of the header cannot be read",
        "it says that it reads exit, cost, and it reads exec",
        "it says that pid is BIGINT, and it is INTEGER",
        "it says that it returns gone, and it does not",
        "it says nothing of comm, which it returns",
        "it says that it takes most, and it does not use it",
        "it draws bars for comm, which is no column of numbers",
        "coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)",
    ]


def test_a_header_of_ones_own_gives_parameters_their_types_and_may_leave_out_the_rest(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(f"-- Parameters:\n--   least  BIGINT  900  the first process\n{SQL}")
    done = analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path)
    assert done.stdout.splitlines()[1].startswith("900,")
    assert "note:" not in done.stderr
    assert analyze("mine.sql", recording, "--format", "csv", "--param", "least=601", cwd=tmp_path).stdout.splitlines()[1].startswith("601,")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("BIGINT", "5.5"), ("BIGINT", ""), ("BIGINT", str(2**63)), ("DOUBLE", "nan"), ("DOUBLE", "inf"), ("DOUBLE", "5ms"), ("BIGINT", "\x1b[31m")],
)
def test_a_value_of_the_wrong_type_is_refused(kind: str, text: str, recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(f"-- Parameters:\n--   least  {kind}  1  the first process\n{SQL}")
    said = error_of(analyze("mine.sql", recording, "--param", f"least={text}", cwd=tmp_path), 2)
    assert f"that is no {kind}.\nhint: The default is least=1." in said
    assert "\x1b" not in said


def test_a_default_that_is_no_value_is_the_headers_fault_and_can_be_overridden(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(f"-- Parameters:\n--   least  BIGINT  many  the first process\n{SQL}")
    assert "least=many: that is no BIGINT" in error_of(analyze("mine.sql", recording, cwd=tmp_path), 2)
    assert analyze("mine.sql", recording, "--param", "least=1", cwd=tmp_path).returncode == 0


def test_a_parameter_that_the_sql_does_not_have_is_refused(recording: Path, analyze: Analyze) -> None:
    said = error_of(analyze("--sql", SQL, recording, "--param", "least=1", "--param", "leest=2"), 2)
    assert "--sql has no parameter leest.\nhint: Did you mean least?" in said


@pytest.mark.parametrize("comment", ["-- Note: the Columns: are many", "--", "/* Columns: x */", "-- Columns", "--Parameters of exec"])
def test_a_comment_is_no_header(comment: str, recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(f"{comment}\nSELECT count(*) AS n FROM exec")
    done = analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path)
    assert (done.returncode, done.stdout, "note:" in done.stderr) == (0, "n\n11\n", False)
