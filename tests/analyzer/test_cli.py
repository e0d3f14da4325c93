"""The ``analyze`` command as a user meets it: reports, formats, output, and what is said when something is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.header import GROUPS
from analyzer.report import bundled, bundled_checks, bundled_names, queries_folder
from tests.analyzer.conftest import Analyze, error_of, on_terminal
from tests.support import REPO

HOSTILE_COMM = "\x1b]0;pwned\x07"


def test_a_report_of_ones_own_is_any_file_with_one_select(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    report = tmp_path / "mine.sql"
    report.write_text("-- no header needed\nSELECT count(*) AS n FROM exec;\n")
    for arguments, stdin in (([report], ""), (["-"], report.read_text()), (["--sql", report.read_text()], "")):
        done = analyze(*arguments, recording, "--format", "csv", stdin=stdin)
        assert (done.returncode, done.stdout) == (0, "n\n11\n"), done.stderr
        assert done.stderr == "coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)\n"


def test_a_bundled_report_goes_by_its_name_and_a_path_by_its_slash(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "overview.sql").write_text("SELECT 1 AS mine")
    (tmp_path / "overview").write_text("SELECT 2 AS mine")
    assert analyze("overview", recording, "--format", "csv", cwd=tmp_path).stdout.startswith("host,started,")
    assert analyze("overview.sql", recording, "--format", "csv", cwd=tmp_path).stdout == "mine\n1\n"
    assert analyze("./overview", recording, "--format", "csv", cwd=tmp_path).stdout == "mine\n2\n"


def test_list_shows_each_report_with_its_question_below_its_group(analyze: Analyze) -> None:
    blocks = [block.splitlines() for block in analyze("--list").stdout.split("\n\n")]
    *blocks, expectations = blocks
    groups = [block[0] for block in blocks]
    assert groups == [name for name in GROUPS if name in groups]
    assert [line.split()[0] for line in expectations[1:]] == bundled_checks()
    listed = {line.split()[0]: block[0] for block in blocks for line in block[1:]}
    headers = {name: bundled(name).header for name in bundled_names()}
    assert listed == {name: header.group for name, header in headers.items() if header}
    assert all(line.startswith("  ") and line.endswith("?") for block in blocks for line in block[1:])


def test_an_expectation_is_described_and_run_like_any_report(analyze: Analyze, recording: Path) -> None:
    assert "Expect: rows = 0\n" in analyze("--describe", "no_kills").stdout
    killed = analyze("no_kills", recording, "--format", "csv").stdout
    assert killed == analyze(queries_folder() / "checks" / "no_kills.sql", recording, "--format", "csv").stdout
    assert len(killed.splitlines()) > 1


def test_describe_explains_a_report(analyze: Analyze) -> None:
    text = analyze("--describe", "short_lived").stdout
    assert "Question: Which processes lived only for a moment" in text
    assert "--param max_ms=100" in text
    assert "life_ms       DOUBLE     from birth to end (ms)" in text


def test_describe_looks_up_what_a_report_of_ones_own_does_not_say(tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text('SELECT pid, comm AS "name" FROM exec WHERE comm = $wanted ORDER BY pid')
    done = analyze("--describe", "mine.sql", cwd=tmp_path)
    assert done.stdout.splitlines()[2:] == [
        "Tables: exec", "", "Columns", "  pid   INTEGER", "  name  VARCHAR", "", "Parameters", "  --param wanted=VALUE", "",
        "For every report: --since TIME, --until TIME, --host NAME, --container NAME",
    ]  # fmt: skip
    (tmp_path / "mine.sql").write_text("COPY exec TO 'x'")
    assert "COPY is not allowed" in error_of(analyze("--describe", "mine.sql", cwd=tmp_path), 2)


def test_a_parameter_changes_a_report(recording: Path, analyze: Analyze) -> None:
    done = analyze("short_lived", recording, "--format", "csv", "--param", "max_ms=6")
    assert [row["pid"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["601", "900"]
    done = analyze("--sql", "SELECT $a || '!' AS b", recording, "--param", "a='; DROP", "--format", "csv")
    assert done.stdout == "b\n'; DROP!\n"


OWN = """-- Mine: long lives
--
-- Group: Processes
-- Question: Which?
-- Tables: exit
-- Columns:
--   pid  INTEGER  -  process
-- Parameters:
--   min_ns  BIGINT  5000000000  shortest
-- Caveats: none
SELECT pid FROM exit WHERE duration_ns >= $min_ns ORDER BY pid
"""


def test_a_header_of_ones_own_gives_parameters_their_types_and_defaults(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(OWN)
    long_lives = analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path)
    assert long_lives.stdout.splitlines() == ["pid", "500"]
    assert len(analyze("mine.sql", recording, "--format", "csv", "--param", "min_ns=0", cwd=tmp_path).stdout.splitlines()) == 11
    assert "that is no BIGINT" in error_of(analyze("mine.sql", recording, "--param", "min_ns=x", cwd=tmp_path), 2)
    (tmp_path / "mine.sql").write_text(OWN.replace("BIGINT", "NUMBER"))
    assert "of the header cannot be read" in error_of(analyze("mine.sql", recording, cwd=tmp_path), 2)
    (tmp_path / "mine.sql").write_text("-- Columns: what I like\nSELECT 1 AS a")
    assert analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path).stdout == "a\n1\n"


def test_csv_and_json_hold_what_the_recording_holds(recording: Path, analyze: Analyze) -> None:
    sql = "SELECT pid, comm, filename, argv, ts, argv_truncated AS b, 1.5 AS d, 'nan'::DOUBLE AS f, NULL AS n FROM exec WHERE pid IN (700, 900)"
    rows = list(csv.DictReader(io.StringIO(analyze("--sql", sql, recording, "--format", "csv").stdout)))
    assert rows[-1]["comm"] == HOSTILE_COMM
    assert json.loads(rows[-1]["argv"]) == ["\x1b[31mred", "\ufffd\ufffd", "\u202egpj.exe", "two\nlines", ""]
    assert [rows[2][name] for name in ("argv", "ts", "b", "d", "f", "n")] == ["", "2026-01-15 12:00:01.500000", "false", "1.5", "nan", ""]
    text = analyze("--sql", sql, recording, "--format", "json").stdout
    assert text.isascii()
    found = json.loads(text)["rows"]
    assert found[-1]["comm"] == HOSTILE_COMM
    assert found[2] | {"comm": ""} == {
        "pid": 700, "comm": "", "filename": "/opt/serve", "argv": None, "ts": "2026-01-15T12:00:01.500000", "b": False, "d": 1.5, "f": None, "n": None
    }  # fmt: skip


def test_json_of_no_rows_and_of_columns_of_one_name(recording: Path, analyze: Analyze) -> None:
    assert json.loads(analyze("--sql", "SELECT pid FROM exec WHERE false", recording, "--format", "json").stdout)["rows"] == []
    assert json.loads(analyze("--sql", "SELECT 1 AS a, 2 AS a, 3 AS a_2", recording, "--format", "json").stdout)["rows"] == [
        {"a": 1, "a_2": 2, "a_2_2": 3}
    ]


def test_a_table_shows_no_control_characters_and_is_not_cut_in_a_pipe(recording: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT comm, argv, repeat('x', 300) AS long FROM exec WHERE pid = 900", recording)
    assert "\\x1b]0;pwned\\x07" in done.stdout
    assert "'\\u202egpj.exe' 'two\\nlines' ''" in done.stdout
    assert "x" * 300 in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert len(done.stdout.splitlines()) == 3


def test_a_table_fits_a_terminal_and_numbers_are_never_cut(recording: Path) -> None:
    lines = on_terminal("process_tree", recording, columns=76)[1]
    assert max(map(len, lines)) <= 76
    assert any("-999.99" in line and "systemd" in line for line in lines)
    assert any("…" in line for line in lines)


def test_csv_on_a_terminal_has_no_escape_sequences(recording: Path) -> None:
    lines = on_terminal("--sql", "SELECT comm FROM exec WHERE pid = 900", recording, "--format", "csv", columns=70)[1]
    assert "\\x1b]0;pwned\\x07" in lines


def test_a_long_result_keeps_its_columns_in_line_over_batches(recording: Path, analyze: Analyze) -> None:
    lines = analyze("--sql", "SELECT i, 'x' AS x FROM range(2500) t(i)", recording).stdout.splitlines()
    assert len(lines) == 2502
    assert lines[2] == "  0  x"
    assert lines[-1] == "2499  x"


def test_output_is_a_file_that_appears_whole_or_not_at_all(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    target = tmp_path / "out.csv"
    done = analyze("--sql", "SELECT 1 AS a", recording, "--format", "csv", "--output", target)
    assert (done.returncode, done.stdout, target.read_text()) == (0, "", "a\n1\n")
    sql = "SELECT CASE WHEN i = 5000 THEN error('late') ELSE i::VARCHAR END AS a FROM range(10000) t(i)"
    assert "late" in error_of(analyze("--sql", sql, recording, "--format", "csv", "-o", target), 2)
    assert target.read_text() == "a\n1\n"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("target", "code", "said"), [("missing/out.csv", 73, "cannot be made"), (".", 73, "cannot be made"), ("/dev/full", 74, "No space left")]
)
def test_output_that_cannot_be_written(target: str, code: int, said: str, recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    assert said in error_of(analyze("overview", recording, "--output", target, cwd=tmp_path), code)


def test_a_full_disk_behind_stdout_is_said(recording: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "analyzer.cli", "overview", str(recording)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPO,
            timeout=60,
            check=False,
        )
    assert done.returncode == 74
    assert "Writing stdout failed: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_leaves_ends_it_quietly(recording: Path) -> None:
    command = f"{sys.executable} -m analyzer.cli --sql 'SELECT i FROM range(3000000) t(i)' '{recording}' --format csv | head -n 2"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, cwd=REPO, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "i\n0\n", "")


WRONG = {
    ("proceses",): "Did you mean processes",
    ("nothing_like_it",): "There is no report nothing_like_it.",
    ("missing.sql",): "There is no report missing.sql.",
    ("overviw.sql",): "Did you mean overview?",
    (): "Which report?",
    ("{recording}",): "is a folder, not a report",
    ("overview", "{recording}", "--format", "cvs"): "Did you mean csv?",
    ("overview", "{recording}", "--timeout", "-1"): "that is no length of time",
    ("overview", "{recording}", "--timeout", "nan"): "that is no length of time",
    ("short_lived", "{recording}", "--param", "max_m=1"): "Did you mean max_ms?",
    ("short_lived", "{recording}", "--param", "max_ms=long"): "that is no DOUBLE",
    ("short_lived", "{recording}", "--param", "max_ms"): "a parameter is NAME=VALUE",
    ("--sql", "SELECT $x", "{recording}"): "needs a value for x",
    ("--sql", "", "{recording}"): "has no statement",
    ("--sql", "-- nothing", "{recording}"): "has no statement",
    ("--sql", "SELECT now()", "{recording}"): "now() is not allowed",
    ("--sql", "SELECT ts::TIMESTAMPTZ AS t FROM exec", "{recording}"): "column t has a time zone",
    ("--sql", "SELECT lenght(comm) FROM exec", "{recording}"): "Did you mean length",
    ("--sql", "SELECT * FROM exce", "{recording}"): "Did you mean exec?",
    ("--sql", "SELECT " + "+".join("1" * 900), "{recording}"): "is nested too deep",
    ("--sql", "SELECT " + "+".join("1" * 5000), "{recording}"): "is nested too deep",
    ("--sql", "SELECT error('\x1b[31m')", "{recording}"): "\\x1b[31m",
    ("--list", "overview"): "--list and --describe stand alone",
    ("--describe", "overveiw"): "Did you mean overview?",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_named_with_what_to_do(arguments: tuple[str, ...], recording: Path, analyze: Analyze) -> None:
    stderr = error_of(analyze(*(argument.format(recording=recording) for argument in arguments)), 2)
    assert WRONG[arguments] in stderr
    assert "\x1b" not in stderr


def test_an_option_that_there_is_none_of_is_usage(analyze: Analyze) -> None:
    done = analyze("overview", "--frmat", "csv")
    assert done.returncode == 2
    assert "--format" in done.stderr


SQL_ERRORS = {
    "SELECT\n  pid,\n  comn -- é\nFROM exec": (3, '"comn" not found', "      comn -- é\n      ^"),
    "SELECT pid\nFROM exec\nWHERE count(* > 1": (3, 'syntax error at or near "1"', "    WHERE count(* > 1\n                    ^"),
    "SELECT 'ééé',\n\tnofunc(1) FROM exec": (2, "nofunc() is not allowed", "    \\tnofunc(1) FROM exec\n      ^"),
    "SELECT 1\nFROM exec, glob('*')": (2, "glob() is not allowed", "    FROM exec, glob('*')\n               ^"),
    "SELECT 'abc": (1, "unterminated", "    SELECT 'abc\n           ^"),
    "SELECT pid\nFROM exec\nWHERE comm = 1 + pid AND 'a'::INT = 1": (3, "Could not convert", ""),
}


@pytest.mark.parametrize("sql", SQL_ERRORS)
def test_an_sql_error_shows_the_line_of_ones_own_file_with_a_caret(sql: str, recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text(sql)
    line, message, excerpt = SQL_ERRORS[sql]
    stderr = error_of(analyze("mine.sql", recording, cwd=tmp_path), 2)
    assert stderr.startswith(f"error: mine.sql:{line}: ")
    assert message in stderr
    assert excerpt in stderr


@pytest.mark.parametrize("data", [b"\xff\xfe", b"SELECT 1\0", b"-" * (1 << 21)])
def test_a_file_that_is_no_text_is_no_report(data: bytes, recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_bytes(data)
    error_of(analyze("mine.sql", recording, cwd=tmp_path), 2)


def imported(*arguments: str, env: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "analyzer.cli", *arguments],
        cwd=REPO, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.stdout, done.stderr
    return {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "md"])
def test_the_usual_path_imports_neither_pyarrow_nor_numpy_nor_pydantic(form: str, recording: Path) -> None:
    names = {name.partition(".")[0] for name in imported("processes", str(recording), "--format", form)}
    assert {"duckdb", "typer"} <= names
    assert names & {"pyarrow", "numpy", "pandas", "pydantic", "bcc"} == set()


def test_help_and_completion_import_nothing_heavier_than_typer() -> None:
    completion = {"_PYTHON _M ANALYZER.CLI_COMPLETE": "", "_ANALYZE_COMPLETE": "complete_bash"}
    assert "duckdb" not in imported("--help", env=completion)
    names = "a._complete_report('process_'), o.complete_format('')"
    code = f"import sys, analyzer.cli as a, analyzer.options as o; print({names}, {{'duckdb', 'rich'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "['process_lifetimes', 'process_tree'] ['csv', 'html', 'json', 'jsonl', 'md', 'parquet', 'table'] set()\n"
