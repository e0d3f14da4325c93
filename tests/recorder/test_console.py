"""What is said on standard error, and what is printed of a row."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recorder import console
from recorder.printing import line
from recorder.session import Result


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1_023, "1023 bytes"),
        (1_024, "1.0 KiB"),
        (68_301, "66.7 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 * (1 << 20) + (1 << 19), "5.5 MiB"),
        (1 << 30, "1.00 GiB"),
        (1 << 42, "4096.00 GiB"),
    ],
)
def test_sizes_are_in_the_largest_unit_that_fits(count: int, words: str) -> None:
    assert console.size(count) == words


def result(**changes: Any) -> Result:
    given: dict[str, Any] = {
        "path": Path("a b.bpftape"),
        "seconds": 12.34,
        "rows": {"exit": 5, "clone": 23_000},
        "lost": {"exit": 0, "clone": 0},
        "bytes": 2_048,
        "end_reason": "SIGINT",
    }
    return Result(**given | changes)


def test_the_summary_has_rows_losses_size_place_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    console.summarize(result(), 0)
    assert capsys.readouterr().err.splitlines() == [
        "recorded 12.3 s, ended by SIGINT",
        "  clone        23,000 rows",
        "  exit              5 rows",
        "lost: nothing",
        "2.0 KiB in a b.bpftape",
        "next: analyze overview 'a b.bpftape'",
    ]


def test_the_summary_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    console.summarize(result(lost={"exit": 1_234, "clone": 0}, failed_probes=["clone hook: why"]), 77)
    said = capsys.readouterr().err.splitlines()
    assert said[2] == "  exit              5 rows  lost 1,234"
    assert "lost: 1,234 events — see the coverage table" in said
    assert "not seen: clone hook: why" in said
    assert any(text.startswith("77 events were recorded but not printed") for text in said)


ROW = {"ts": datetime(2026, 11, 23, 4, 5, 6, 78), "pid": 1234, "ppid": 1, "uid": 0, "comm": "sh"}
BEGIN = "04:05:06.000078"


@pytest.mark.parametrize(
    ("table", "row", "end"),
    [
        ("clone", {"is_thread": False, "child_pid": 77, "child_tid": 77}, "child 77"),
        ("clone", {"is_thread": True, "child_pid": 1234, "child_tid": 78}, "thread 78"),
        ("exec", {"filename": "/bin/ls", "argv": ["ls", "-l", ""], "argv_truncated": False}, "ls -l "),
        ("exec", {"filename": "/bin/ls", "argv": ["ls"], "argv_truncated": True}, "ls …"),
        ("exec", {"filename": "/bin/ls", "argv": None, "argv_truncated": False}, "/bin/ls"),
        ("exit", {"exit_code": 3, "signal": None, "core_dumped": False, "duration_ns": 1_500_000_000}, "code 3 after 1.500 s"),
        ("exit", {"exit_code": None, "signal": 9, "core_dumped": False, "duration_ns": 999_999}, "signal 9 after 0.001 s"),
        ("exit", {"exit_code": None, "signal": 11, "core_dumped": True, "duration_ns": 0}, "signal 11 (core dumped) after 0.000 s"),
    ],
)
def test_rows_are_lines(table: str, row: dict[str, Any], end: str) -> None:
    assert line(table, ROW | row) == f"{BEGIN} {table:8}    1234       1      0 sh               {end}"


def test_lines_have_no_control_characters() -> None:
    hostile = "\x1b[2J\r\n\x00\x7f\x9b\u202e"
    text = line("exec", ROW | {"comm": hostile, "filename": "x", "argv": [hostile, "plain"], "argv_truncated": False})
    assert text.isprintable()
    assert text.count(r"\x1b[2J\r\n\x00\x7f\x9b\u202e") == 2
    assert text.endswith(" plain")
