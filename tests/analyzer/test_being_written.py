"""Recordings that a recorder is still at work on: verbs that take them say so, in the same words."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analyzer.conftest import error_of, run
from tests.rows import read_rows, write_recording

WHEN = "still being written: what is here ends after"
NOTE = "note: live.bpftape is still being written: this is what was closed by now"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """Return a recording without an end, which is locked as a recorder locks it."""
    rows = read_rows()
    rows["recording"][0] |= {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}
    path = write_recording(tmp_path / "live.bpftape", rows)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield path
    os.close(fd)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "--format", "csv", "-o", "x"], WHEN),
        (["diff", "live.bpftape"], WHEN),
        (["replay", "--speed", "max", "--table", "exec"], NOTE),
        (["share", "-o", "x.bpftape"], NOTE),
        (["share", "-o", "x.bpftape", "--dry-run"], NOTE),
    ],
    ids=["export", "diff", "replay", "share", "dry run"],
)
def test_what_can_be_done_meanwhile_is_done_and_says_so(words: list[str], said: str, live: Path, tmp_path: Path) -> None:
    done = run("recorder.bpftape", words[0], live, *words[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    assert "killed" not in done.stderr


def test_programs_are_told_by_info_and_share(live: Path, tmp_path: Path) -> None:
    made = json.loads(run("recorder.bpftape", "share", live, "-o", "x.bpftape", "--json", cwd=tmp_path).stdout)
    assert made["notes"] == [NOTE.removeprefix("note: ")]
    assert json.loads(run("recorder.bpftape", "info", "--json", live).stdout)["being_written"] is True
    copy = json.loads(run("recorder.bpftape", "info", "--json", tmp_path / "x.bpftape").stdout)
    assert (copy["being_written"], copy["clean_end"], copy["shared"]["being_written"]) == (False, False, True)


def test_one_with_nothing_closed_yet_is_not_taken_for_an_empty_one(live: Path) -> None:
    manifest = live / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().partition(b"\n")[0] + b"\n")
    said = error_of(run("recorder.bpftape", "info", live), 65)
    assert "live.bpftape is still being written, and nothing of it is closed yet.\nhint: Try again in some seconds." in said
