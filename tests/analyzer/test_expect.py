"""Expectations: what is concluded from rows and coverage, the statuses, and what other programs read of it."""

from __future__ import annotations

import csv
import ipaddress
import json
from pathlib import Path
from typing import Any

import junitparser
import pytest

from analyzer.expectation import Rule, find_expectations
from analyzer.header import parse_header
from analyzer.recording import open_recording
from analyzer.report import bundled_checks, checks_folder
from tests.analyzer.conftest import Analyze, error_of
from tests.report_checks import assert_header_is_true, assert_portable
from tests.rows import Rows, read_rows, write_recording
from tests.support import REPO

NO_EXECS = "SELECT pid, comm FROM exec WHERE comm = 'nobody'"
ALL_EXECS = "SELECT pid, comm FROM exec ORDER BY ts, pid"

# found rows and rule: what can be said where nothing is missing, and where there may have been more.
JUDGED = {
    (0, "=", 0): ("PASS", "UNKNOWN"),
    (1, "=", 0): ("FAIL", "FAIL"),
    (2, "=", 3): ("FAIL", "UNKNOWN"),
    (3, "=", 3): ("PASS", "UNKNOWN"),
    (4, "=", 3): ("FAIL", "FAIL"),
    (0, ">=", 1): ("FAIL", "UNKNOWN"),
    (1, ">=", 1): ("PASS", "PASS"),
    (0, ">=", 0): ("PASS", "PASS"),
    (1, ">", 1): ("FAIL", "UNKNOWN"),
    (2, ">", 1): ("PASS", "PASS"),
    (1, "<=", 1): ("PASS", "UNKNOWN"),
    (2, "<=", 1): ("FAIL", "FAIL"),
    (0, "<", 1): ("PASS", "UNKNOWN"),
    (1, "<", 1): ("FAIL", "FAIL"),
    (0, "<", 0): ("FAIL", "FAIL"),
    (1, "!=", 2): ("PASS", "UNKNOWN"),
    (2, "!=", 2): ("FAIL", "UNKNOWN"),
    (3, "!=", 2): ("PASS", "PASS"),
}


@pytest.mark.parametrize(("found", "compare", "rows"), JUDGED)
def test_what_rows_mean_where_nothing_is_missing_and_where_there_may_have_been_more(found: int, compare: str, rows: int) -> None:
    rule = Rule(compare, rows)
    assert (rule.judge(found, is_settled=True), rule.judge(found, is_settled=False)) == JUDGED[found, compare, rows]


@pytest.fixture
def rows() -> Rows:
    """Return a recording's rows with nothing lost."""
    rows = read_rows()
    for row in rows["coverage"]:
        row["lost"] = 0
    return rows


def lossy(rows: Rows) -> Rows:
    next(row for row in rows["coverage"] if row["table"] == "exec")["lost"] = 3
    return rows


def killed(rows: Rows) -> Rows:
    rows["recording"][0] |= {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}
    return rows


def not_recorded(rows: Rows) -> Rows:
    rows["recording"][0] |= {"tracers": ["tcp", "container"]}
    return rows | {"coverage": [row for row in rows["coverage"] if row["tracer"] != "clone"], "exec": []}


def filtered(*words: str) -> Any:
    def change(rows: Rows) -> Rows:
        rows["recording"][0] |= {"filters": list(words)}
        return rows

    return change


CASES = {
    "nothing found in what is complete": (lambda rows: rows, NO_EXECS, "PASS", 0),
    "something found in what is complete": (lambda rows: rows, ALL_EXECS, "FAIL", 1),
    "nothing found in what lost events": (lossy, NO_EXECS, "UNKNOWN", 3),
    "something found in what lost events": (lossy, ALL_EXECS, "FAIL", 1),
    "enough found in what lost events": (lossy, f"-- Expect: rows >= 11\n{ALL_EXECS}", "PASS", 0),
    "too few found in what lost events": (lossy, f"-- Expect: rows >= 12\n{ALL_EXECS}", "UNKNOWN", 3),
    "nothing found before a kill": (killed, NO_EXECS, "UNKNOWN", 3),
    "nothing recorded": (not_recorded, NO_EXECS, "UNKNOWN", 3),
    "nothing found of those that it is about": (filtered("comm=make", "uid=0"), NO_EXECS, "PASS", 0),
    "a filter of other tables": (filtered("port=443"), NO_EXECS, "PASS", 0),
    "a filter that hides what is asked for": (filtered("daddr=10.0.0.0/8"), "SELECT pid FROM tcp_connect WHERE false", "UNKNOWN", 3),
    "SQL that is wrong": (lambda rows: rows, "SELECT nothing FROM exec", "ERROR", 2),
    "a rule that is none": (lambda rows: rows, f"-- Expect: few rows\n{NO_EXECS}", "ERROR", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_an_expectation_passes_only_where_nothing_is_missing(case: str, rows: Rows, tmp_path: Path, analyze: Analyze) -> None:
    change, sql, outcome, status = CASES[case]
    folder = write_recording(tmp_path / "x.bpftape", change(rows))
    (tmp_path / "mine.sql").write_text(sql)
    done = analyze("--expect", "mine.sql", folder, cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (status, outcome), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_offending_rows_are_shown_the_first_of_them_and_the_number_of_all(rows: Rows, tmp_path: Path, analyze: Analyze) -> None:
    rows["exec"] = [rows["exec"][0] | {"pid": pid, "comm": "\x1b[2Jevil"} for pid in range(5000, 5123)]
    folder = write_recording(tmp_path / "x.bpftape", rows)
    (tmp_path / "no_execs.sql").write_text(f"-- Nothing ran\n-- Expect: rows = 0\n{ALL_EXECS}")
    done = analyze("--expect", "no_execs.sql", folder, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["FAIL     no_execs.sql: Nothing ran", "         123 rows, expected none"]
    assert lines[4:15] == [f"           {pid}  \\x1b[2Jevil" for pid in range(5000, 5010)] + ["           … and 113 more"]
    assert lines[15:] == ["         coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)", "1 failed"]
    assert "\x1b" not in done.stdout


def test_unknown_says_why(rows: Rows, tmp_path: Path, analyze: Analyze) -> None:
    folder = write_recording(tmp_path / "x.bpftape", not_recorded(rows))
    (tmp_path / "a.sql").write_text(NO_EXECS)
    done = analyze("--expect", "a.sql", folder, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "UNKNOWN  a.sql",
        "         no rows, expected none, but what was recorded cannot tell: not recorded (exec: tracer clone was not asked for), "
        "so no rows do not mean that nothing happened",
        "1 unknown",
    ]


def test_the_worst_outcome_makes_the_status_and_none_stops_the_others(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    sqls = {
        "0pass": NO_EXECS,
        "1unknown": "SELECT pid FROM clone WHERE false",
        "2fail": ALL_EXECS,
        "3error": "SELECT",
        "4pass": "SELECT 1 LIMIT 0",
    }
    for name, sql in sqls.items():
        (tmp_path / f"{name}.sql").write_text(sql)
    files = sorted(path.name for path in tmp_path.iterdir())
    for count, status in ((1, 0), (2, 3), (3, 1), (5, 2)):
        done = analyze("--expect", *files[:count], recording, "--format", "json", cwd=tmp_path)
        assert done.returncode == status
        found = json.loads(done.stdout)["expectations"]
        assert [item["outcome"] for item in found] == ["PASS", "UNKNOWN", "FAIL", "ERROR", "PASS"][:count]
    assert (found[2]["rows"], len(found[2]["sample"]), found[2]["sample"][0]) == (11, 10, {"pid": 600, "comm": "make"})
    done = analyze("--expect", tmp_path, recording)
    assert done.stdout.splitlines()[-1] == "2 passed, 1 failed, 1 unknown, 1 wrong themselves of 5 expectations"


def test_other_programs_read_the_junit_file(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    sqls = {"pass": NO_EXECS, "fail": "SELECT comm FROM exec WHERE pid = 900", "unknown": "SELECT pid FROM clone WHERE false", "error": "SELECT ]]>&"}
    for name, sql in sqls.items():
        (tmp_path / f"{name}.sql").write_text(sql)
    target = tmp_path / "out.xml"
    done = analyze("--expect", *(f"{name}.sql" for name in sqls), recording, "--junit", target, cwd=tmp_path)
    assert done.returncode == 2
    (suite,) = junitparser.JUnitXml.fromfile(str(target))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 2, 0)
    cases = {case.name.removesuffix(".sql"): case for case in suite}
    assert [(name, type(result).__name__, result.type) for name, case in cases.items() for result in case.result] == [
        ("fail", "Failure", "FAIL"), ("unknown", "Error", "UNKNOWN"), ("error", "Error", "ERROR")
    ]  # fmt: skip
    (failure,) = cases["fail"].result
    assert failure.message == "1 row, expected none"
    assert "\\x1b]0;pwned\\x07" in failure.text
    assert "lost between" in cases["unknown"].result[0].message


def test_parameters_go_to_the_expectations_that_have_them(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "a.sql").write_text("SELECT pid FROM exec WHERE pid > $most::BIGINT")
    (tmp_path / "b.sql").write_text(NO_EXECS)
    assert analyze("--expect", "a.sql", "b.sql", recording, "--param", "most=100000", cwd=tmp_path).returncode == 0
    assert analyze("--expect", "a.sql", "b.sql", recording, "--param", "most=1", cwd=tmp_path).returncode == 1
    said = error_of(analyze("--expect", "b.sql", recording, "--param", "most=1", cwd=tmp_path), 2)
    assert "None of the expectations has a parameter most." in said


def test_require_complete_takes_any_filter_for_a_doubt(rows: Rows, tmp_path: Path, analyze: Analyze) -> None:
    folder = write_recording(tmp_path / "x.bpftape", filtered("comm=make")(rows))
    (tmp_path / "a.sql").write_text(NO_EXECS)
    assert [analyze("--expect", "a.sql", folder, *strict, cwd=tmp_path).returncode for strict in ((), ("--require-complete",))] == [0, 3]


WRONG = {
    ("--expect", "{recording}"): "Which expectations?",
    ("--expect", "no_kill", "{recording}"): "Did you mean no_kills?",
    ("--expect", "gone.sql", "{recording}"): "There is no report gone.sql.",
    ("--expect", "{tmp}", "{recording}"): "neither a recording nor a folder of expectations",
    ("--expect", "no_kills", "{recording}", "--format", "csv"): "--expect has no format csv",
    ("--junit", "x.xml", "overview", "{recording}"): "--junit goes with --expect",
    ("--expect", "--sql", "SELECT 1", "{recording}"): "--expect goes neither with --sql",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_named_with_what_to_do(arguments: tuple[str, ...], recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    said = error_of(analyze(*(argument.format(recording=recording, tmp=tmp_path) for argument in arguments), cwd=tmp_path), 2)
    assert WRONG[arguments] in said


@pytest.mark.parametrize("name", bundled_checks())
def test_a_bundled_expectation_is_true_of_itself(name: str, recording: Path) -> None:
    (report,) = find_expectations(name)
    assert report.header == parse_header(report.sql)
    assert report.header.expect == "rows = 0"
    assert report.header.parameters
    assert_header_is_true(report, open_recording(recording), *(["max_ms=0"] if name == "connect_p99" else []))
    assert_portable(report.sql)


def test_the_bundled_expectations_find_what_the_rows_have(recording: Path, analyze: Analyze) -> None:
    done = analyze("--expect", checks_folder(), recording, "--param", "net=10.0.0.0/8", "--format", "json")
    found = {Path(item["name"]).stem: item["rows"] for item in json.loads(done.stdout)["expectations"]}
    with (REPO / "fixtures/rows/exit.csv").open() as file:
        killed = sum(bool(row["signal"]) for row in csv.DictReader(file))
    with (REPO / "fixtures/rows/tcp_connect.csv").open() as file:
        connects = list(csv.DictReader(file))
    network = ipaddress.ip_network("10.0.0.0/8")
    addresses = [ipaddress.ip_address(row["daddr"]) for row in connects]
    outside = sum(not address.is_loopback and (address.version != 4 or address not in network) for address in addresses)
    latencies = sorted(int(row["latency_ns"]) for row in connects if row["outcome"] == "connected")
    slow = latencies[-(-99 * len(latencies) // 100) - 1] > 20_000_000
    assert killed
    assert outside
    assert found == {"no_kills": killed, "connects_inside": outside, "connect_p99": int(slow)}
