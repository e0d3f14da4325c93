"""``analyze --follow``: the same answer again and again while a recording grows, and the last one is that of the whole recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from recorder.folder import RecordingFolder
from recorder.schema import TABLES
from tests.analyzer.conftest import Analyze, error_of
from tests.rows import Rows, read_rows
from tests.support import REPO

SQL = "SELECT comm, count(*) AS n FROM exec GROUP BY comm ORDER BY comm"
COUNT = "SELECT count(*) AS n FROM exec"
PATIENCE_S = 30.0


class Growing:
    """A recording that is written piece by piece, as a recorder writes it: it holds the lock until it is ended or dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: Rows = read_rows()
        self._folder = RecordingFolder(path)
        (about,) = self.rows["recording"]
        self._write("probe", self.rows["probe"])
        self._write("recording", [about | {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}])
        self._write("clock", self.rows["clock"][:1])

    def _write(self, table: str, rows: list[dict[str, object]]) -> None:
        self._folder.write_rows(TABLES[table], rows)

    def grow(self, begin_s: float, end_s: float) -> int:
        """Write what happened in this time; return how many rows of exec there are by now."""
        for table in ("exec", "clone", "coverage"):
            part = [row for row in self.rows[table] if begin_s <= (row["ts_ns"] - 1000 * 10**9) / 1e9 < end_s]
            if part:
                self._write(table, part)
        return sum(row["ts_ns"] < (1000 + end_s) * 10**9 for row in self.rows["exec"])

    def end(self) -> None:
        self._write("recording", self.rows["recording"])
        self.die()

    def die(self) -> None:
        self._folder.close()


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    recording = Growing(tmp_path / "growing.bpftape")
    yield recording
    recording.die()


class Follower:
    """``analyze --follow`` as a process; ``written`` is what it has written to stdout so far."""

    def __init__(self, recording: Path, *options: str) -> None:
        words = [sys.executable, "-m", "analyzer.cli", *options, str(recording), "--follow"]
        self.process = subprocess.Popen(words, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.written = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while text := os.read(self.process.stdout.fileno(), 65536).decode():
            self.written += text

    def await_text(self, wanted: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < until, self.written
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its status and what it wrote to stderr."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self._reader.join(PATIENCE_S)
        return self.process.wait(PATIENCE_S), said

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._reader.join(PATIENCE_S)
        self.process.__exit__(None, None, None)


def test_each_answer_is_over_what_is_written_and_the_last_is_that_of_the_whole_recording(growing: Growing, analyze: Analyze) -> None:
    with Follower(growing.path, "--sql", COUNT, "--format", "csv") as follower:
        counts = []
        for begin, end in ((0, 0.5), (0.5, 3), (3, 100)):
            counts.append(growing.grow(begin, end))
            follower.await_text(lambda: follower.written.endswith(f"n\n{counts[-1]}\n"))
        assert counts == sorted(set(counts))
        growing.end()
        status, said = follower.end()
        assert status == 0
        answers = follower.written.split("\n\n")
        whole = analyze("--sql", COUNT, growing.path, "--format", "csv")
        assert answers[-1].rstrip("\n") == whole.stdout.rstrip("\n")
        assert "coverage: unfinished" in said
        assert said.splitlines()[-1] == whole.stderr.rstrip("\n") == "coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)"


def test_a_recorder_that_dies_is_said(growing: Growing) -> None:
    with Follower(growing.path, "--sql", COUNT, "--format", "csv") as follower:
        count = growing.grow(0, 3)
        follower.await_text(lambda: follower.written.endswith(f"n\n{count}\n"))
        growing.die()
        status, said = follower.end()
        assert status == 65
        assert "was killed: this is what it had written." in said
        assert "bpftape recover" in said
        assert follower.written.endswith(f"n\n{count}\n")


def test_ctrl_c_ends_it_and_is_no_error(growing: Growing) -> None:
    with Follower(growing.path, "--sql", COUNT, "--format", "csv") as follower:
        follower.await_text(lambda: follower.written != "")
        follower.process.send_signal(signal.SIGINT)
        status, said = follower.end()
        assert (status, "error" in said, "Traceback" in said) == (0, False, False)


def test_a_file_has_the_last_answer(growing: Growing, tmp_path: Path, analyze: Analyze) -> None:
    file = tmp_path / "out.csv"
    with Follower(growing.path, "--sql", SQL, "--format", "csv", "--output", str(file)) as follower:
        follower.await_text(lambda: file.exists())
        growing.grow(0, 100)
        growing.end()
        assert follower.end()[0] == 0
        assert file.read_text() == analyze("--sql", SQL, growing.path, "--format", "csv").stdout


def test_on_a_terminal_an_answer_takes_the_place_of_the_one_before(growing: Growing, analyze: Analyze) -> None:
    screen = pyte.Screen(120, 60)
    stream = pyte.ByteStream(screen)
    words = ["-m", "analyzer.cli", "--sql", SQL, str(growing.path), "--follow"]
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": str(REPO), "COLUMNS": "120", "LINES": "60"}
    child: pexpect.spawn[bytes] = pexpect.spawn(sys.executable, words, env=environment, dimensions=(60, 120), echo=False, cwd=str(REPO))

    def lines() -> list[str]:
        return [line.rstrip() for line in screen.display if line.strip()]

    def await_line(wanted: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < until, lines()
            try:
                stream.feed(child.read_nonblocking(65536, 0.05))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return

    await_line(lambda: any("coverage: " in line for line in lines()))
    growing.grow(0, 3)
    await_line(lambda: any(line.startswith("sh") for line in lines()))
    growing.grow(3, 100)
    growing.end()
    await_line(lambda: False)
    child.close()
    whole = analyze("--sql", SQL, growing.path)
    assert child.exitstatus == 0
    assert lines() == [line.rstrip() for line in (whole.stdout + whole.stderr).splitlines()]


def test_a_recording_that_has_ended_is_answered_once(recording: Path, analyze: Analyze) -> None:
    once, followed = (analyze("overview", recording, *options) for options in ([], ["--follow"]))
    assert (followed.returncode, followed.stdout, followed.stderr) == (0, once.stdout, once.stderr)


def test_it_can_be_narrowed_and_has_to_be_complete_in_the_end(growing: Growing, analyze: Analyze) -> None:
    growing.grow(0, 100)
    growing.end()
    done = analyze("--sql", COUNT, growing.path, "--follow", "--until", "1s", "--format", "csv", "--require-complete")
    assert (done.returncode, done.stdout) == (0, analyze("--sql", COUNT, growing.path, "--until", "1s", "--format", "csv").stdout)
    done = analyze("--sql", "SELECT count(*) FROM clone", growing.path, "--follow", "--require-complete")
    assert (done.returncode, "is not complete" in done.stderr) == (1, True)


WRONG = {
    ("{recording}", "{recording}"): (2, "--follow goes with one recording"),
    ("/nonexistent.bpftape",): (65, "There is no recording at"),
    ("{recording}", "--format", "parquet"): (2, "cannot follow each other in a pipe"),
    ("{recording}", "--container", "zzz"): (2, "There is no container"),
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_named(arguments: tuple[str, ...], recording: Path, analyze: Analyze) -> None:
    code, said = WRONG[arguments]
    assert said in error_of(analyze("overview", *(argument.format(recording=recording) for argument in arguments), "--follow"), code)
