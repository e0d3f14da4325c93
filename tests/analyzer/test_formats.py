"""Each format as another program reads it, and what it says of how far the rows can be trusted."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from analyzer.grid import bar, write_grid
from analyzer.render import formats
from analyzer.report import bundled
from analyzer.result import Field
from tests.analyzer.conftest import Analyze, error_of, on_terminal
from tests.rows import read_rows, write_recording
from tests.support import REPO

LOSSY = "1 of 14 clone events lost between 12:00:07 and 12:00:08 UTC"
HOSTILE = "SELECT comm, argv, 'a|b*c_d`<script>[x](y) https://x _i_' AS \"na\x1b[31mme\" FROM exec WHERE pid = 900"


@pytest.fixture
def not_recorded(tmp_path: Path) -> Path:
    rows = read_rows()
    coverage = [row for row in rows["coverage"] if row["tracer"] != "tcp"]
    recording = [row | {"tracers": ["clone", "container"]} for row in rows["recording"]]
    return write_recording(tmp_path / "x.bpftape", rows | {"coverage": coverage, "recording": recording, "tcp_connect": []})


def test_json_has_coverage_beside_the_rows(recording: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT count(*) AS n FROM clone", recording, "--format", "json")
    found = json.loads(done.stdout)
    assert (found["rows"], done.stderr) == ([{"n": 13}], "")
    coverage = found["coverage"]
    assert (coverage["verdict"], coverage["complete"], coverage["notes"]) == ("lossy", False, [])
    assert coverage["text"] == f"coverage: lossy ({LOSSY})"
    (only,) = coverage["recordings"]
    assert (only["recording"], only["seconds"], only["clean_end"], only["filters"]) == (recording.name, 10.0, True, [])
    assert only["tables"] == [
        {
            "table": "clone", "verdict": "lossy", "covered_seconds": 10.0, "events": 13, "lost": 1,
            "lost_from": "2026-01-15 12:00:07", "lost_to": "2026-01-15 12:00:08", "reason": None
        }
    ]  # fmt: skip


def test_an_empty_answer_over_what_was_not_recorded_never_looks_like_nothing_happened(not_recorded: Path, analyze: Analyze) -> None:
    sql = "SELECT pid FROM tcp_connect"
    why = "coverage: not recorded (tcp_connect: tracer tcp was not asked for), so no rows do not mean that nothing happened"
    for form, stdout, stderr in (
        ("table", "pid\n───\n(not recorded, which is not the same as no rows)\n", f"{why}\n"),
        ("csv", "pid\n", f"{why}\n"),
        ("jsonl", "", f"{why}\n"),
    ):
        done = analyze("--sql", sql, not_recorded, "--format", form)
        assert (done.returncode, done.stdout, done.stderr) == (0, stdout, stderr)
    assert json.loads(analyze("--sql", sql, not_recorded, "--format", "json").stdout)["coverage"]["verdict"] == "not recorded"
    assert "\n(not recorded, which is not the same as no rows)\n" in analyze("--sql", sql, not_recorded, "--format", "md").stdout


@pytest.mark.parametrize("form", [name for name in formats() if name != "parquet"])
def test_require_complete_turns_any_doubt_into_status_1(form: str, recording: Path, analyze: Analyze) -> None:
    for sql, status in (("SELECT 1 AS a FROM exec LIMIT 1", 0), ("SELECT 1 AS a FROM clone LIMIT 1", 1), ("SELECT 1 AS a", 0)):
        done = analyze("--sql", sql, recording, "--format", form, "--require-complete")
        assert done.returncode == status, done.stderr
        assert "1" in done.stdout  # the answer is there, whatever it is worth
        assert ("error: The answer to --sql is not complete." in done.stderr) == bool(status)


def test_jsonl_is_one_object_a_line_in_plain_ascii(recording: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT pid, comm || chr(127) AS comm, 'nan'::DOUBLE AS f, ts FROM exec WHERE pid = 900", recording, "--format", "jsonl")
    assert done.stdout.rstrip("\n").isprintable()
    assert done.stdout.isascii()
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"pid": 900, "comm": "\x1b]0;pwned\x07\x7f", "f": None, "ts": "2026-01-15T12:00:06.001000"}
    ]


def test_markdown_shows_text_as_text(recording: Path, analyze: Analyze) -> None:
    lines = analyze("--sql", HOSTILE, recording, "--format", "md").stdout.splitlines()
    assert lines[:2] == ["| comm | argv | na\\\\x1b\\[31mme |", "| --- | --- | --- |"]
    assert lines[2].endswith("| a\\|b\\*c_d\\`&lt;script&gt;\\[x\\](y) https\\://x \\_i\\_ |")
    assert "\\\\x1b\\]0;pwned\\\\x07" in lines[2]
    assert lines[3:] == ["", "_coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)_"]
    assert all(line.isprintable() for line in lines)


def test_numbers_stand_to_the_right_in_markdown(recording: Path, analyze: Analyze) -> None:
    assert analyze("--sql", "SELECT 1 AS n, 'x' AS t, 1.5 AS d", recording, "--format", "md").stdout.splitlines()[1] == "| ---: | --- | ---: |"


def test_parquet_keeps_types_and_says_in_its_metadata_what_it_rests_on(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    target = tmp_path / "out.parquet"
    sql = "SELECT pid, comm, argv, ts, NULL AS n, 1 AS a, 2 AS a FROM exec WHERE pid IN (700, 900) ORDER BY ts"
    done = analyze("--sql", sql, recording, "--format", "parquet", "-o", target)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    table = pq.read_table(target)
    assert {field.name: str(field.type) for field in table.schema} == {
        "pid": "int32", "comm": "string", "argv": "list<element: string>", "ts": "timestamp[us]", "n": "null", "a": "int32", "a_2": "int32"
    }  # fmt: skip
    assert table.column("comm").to_pylist()[-1] == "\x1b]0;pwned\x07"
    assert json.loads(table.schema.metadata[b"bpftape.coverage"])["verdict"] == "complete"
    done = analyze("--sql", "SELECT pid FROM exec WHERE false", recording, "--format", "parquet", "-o", target)
    assert (pq.read_table(target).num_rows, pq.read_schema(target).names) == (0, ["pid"])


def test_parquet_goes_into_a_pipe_and_not_onto_a_terminal(recording: Path) -> None:
    arguments = ["--sql", "SELECT 1 AS a", str(recording), "--format", "parquet"]
    piped = subprocess.run([sys.executable, "-m", "analyzer.cli", *arguments], cwd=REPO, capture_output=True, timeout=60, check=True)
    assert (piped.stdout[:4], piped.stdout[-4:]) == (b"PAR1", b"PAR1")
    assert on_terminal(*arguments) == (2, [])


def test_what_parquet_does_not_have_is_an_error_and_leaves_no_file(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT INTERVAL 1 DAY AS i", recording, "--format", "parquet", "-o", tmp_path / "x.parquet")
    assert "Parquet has no INTERVAL: column i cannot be written." in error_of(done, 2)
    late = "SELECT CASE WHEN i = 150000 THEN error('late') ELSE 'x' END AS a FROM range(200000) t(i)"
    assert "late" in error_of(analyze("--sql", late, recording, "--format", "parquet", "-o", tmp_path / "x.parquet"), 2)
    assert list(tmp_path.iterdir()) == []


def test_declared_columns_are_drawn_as_bars(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    (tmp_path / "mine.sql").write_text("-- Bars: n\nSELECT i AS n, 'x' AS t FROM (VALUES (8), (4), (0), (NULL), (1)) v(i)")
    assert analyze("mine.sql", recording, cwd=tmp_path).stdout.splitlines() == [
        "n                        t",
        "─                        ─",
        "8  ████████████████████  x",
        "4  ██████████            x",
        "0                        x",
        "                         x",
        "1  ██▌                   x",
    ]
    assert analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path).stdout == "n,t\n8,x\n4,x\n0,x\n,x\n1,x\n"


def test_a_bar_has_eighths_and_shows_that_it_was_cut() -> None:
    assert [bar(value, 8, 2) for value in (0, -1, 0.001, 1, 4, 7.5, 8, 9)] == ["", "", "▏", "▎", "█", "█▉", "██", "█▶"]
    assert bar(3, 0, 5) == ""


@pytest.mark.parametrize("golden", sorted((REPO / "tests" / "golden").glob("*.csv")), ids=lambda path: path.stem)
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(golden: Path) -> None:
    header = bundled(golden.stem).header
    assert header is not None
    fields = tuple(Field(column.name, column.type) for column in header.columns)
    rows = [tuple(value or None for value in row) for row in list(csv.reader(io.StringIO(golden.read_text())))[1:]]
    for columns in (60, 80, 1000):
        out = io.StringIO()
        write_grid(fields, [rows], out, columns)
        lines = out.getvalue().splitlines()
        assert max(map(cell_len, lines)) <= columns
        height = len(lines) / (len(rows) + 2)  # lines of a row, as of the headings and the rules below them
        assert height == int(height)
        for number, row in enumerate(rows, 2):
            words = " ".join(lines[number * int(height) : (number + 1) * int(height)]).split()
            numbers = [value for value, field in zip(row, fields, strict=True) if field.is_number and value]
            assert Counter(numbers) <= Counter(words)


def test_people_read_names_of_several_recordings_and_programs_their_ids(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    other = write_recording(tmp_path / "other.bpftape", read_rows(), uuid.UUID(int=0))
    table = analyze("short_lived", recording, other).stdout.splitlines()
    assert table[0].split()[-1] == "recording"
    assert {line.split()[-1] for line in table[2:]} == {recording.name, other.name}
    found = json.loads(analyze("short_lived", recording, other, "--format", "json").stdout)
    assert "0" * 32 in {row["recording_id"] for row in found["rows"]}
    named = analyze("--sql", "SELECT DISTINCT recording_id FROM exec ORDER BY 1", recording, other).stdout.splitlines()
    assert (named[0].strip(), named[2]) == ("recording_id", "0" * 32)
