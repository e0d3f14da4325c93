"""``bpftape new-report``: what it writes runs as it is, is true of itself, and lands nowhere but in this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.header import parse_header
from analyzer.new_report import draft
from analyzer.recording import open_recording
from analyzer.report import Report
from recorder.schema import TABLES
from tests.analyzer.conftest import Analyze, error_of
from tests.report_checks import assert_header_is_true, assert_portable, run
from tests.rows import read_rows, write_recording
from tests.support import Cli

OVER = [[name] for name in TABLES] + [["exec", "exit"], ["tcp_connect", "container", "process"], ["tcp_close", "exec", "recording"]]


@pytest.mark.parametrize("tables", OVER, ids=",".join)
def test_what_it_writes_is_a_report_like_the_bundled_ones(tables: list[str], recording: Path, tmp_path: Path) -> None:
    sql = draft("mine", tables)
    report = Report("mine", sql, parse_header(sql))
    assert_header_is_true(report, open_recording(recording))
    assert_portable(sql)
    reversed_rows = {table: found[::-1] for table, found in read_rows().items()}
    other = open_recording(write_recording(tmp_path / "reversed.bpftape", reversed_rows))
    assert run(report, other)[2] == run(report, open_recording(recording))[2]


def test_it_is_written_into_this_folder_and_runs(cli: Cli, tmp_path: Path, recording: Path, analyze: Analyze) -> None:
    done = cli("bpftape", "new-report", "mine", "--tables", "exec,exit", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine.sql is made. Next: analyze mine.sql RECORDING\n", "")
    done = analyze("mine.sql", recording, "--format", "csv", cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1 + 11), done.stderr


def test_nothing_is_overwritten_or_written_through_a_link(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "there.sql").write_text("mine")
    (tmp_path / "link.sql").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        assert f"{name}.sql is there already" in error_of(cli("bpftape", "new-report", name, cwd=tmp_path), 73)
    assert (tmp_path / "there.sql").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.sql", "there.sql"]


WRONG = {
    ("../mine",): "is no name of a report",
    ("/tmp/mine",): "is no name of a report",
    ("",): "is no name of a report",
    ("..",): "is no name of a report",
    ("mine.sql",): "is no name of a report",
    ("mine\n",): "is no name of a report",
    ("Mine",): "is no name of a report",
    ("m" * 64,): "is no name of a report",
    ("overview",): "is a bundled report",
    ("mine", "--tables", "exce"): "Did you mean exec?",
    ("mine", "--tables", ""): "Over which tables",
    ("mine", "--tables", "exec,coverage"): "have nothing in common but the recording",
    ("mine", "--tables", "exec;DROP"): "There is no table exec;DROP",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_named_and_makes_no_file(arguments: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    assert WRONG[arguments] in error_of(cli("bpftape", "new-report", *arguments, cwd=tmp_path), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written(cli: Cli) -> None:
    assert "cannot be made" in error_of(cli("bpftape", "new-report", "mine", cwd=Path("/proc/self")), 73)
