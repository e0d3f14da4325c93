"""Ctrl-C and its kin: a statement ends at once, with a status that says so, and leaves nothing behind. And what shows how far it is."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPO

# None of them ends by itself before anybody has lost patience.
BUSY = "SELECT count(*) AS n FROM range(1000000000000) t(i) WHERE i % 7 = 3"
STREAM = "SELECT i, 'some text' AS t FROM range(1000000000000) t(i)"
ONE_CALL = "SELECT length(regexp_replace(repeat('a', 400000000), 'a', 'bb', 'g')) AS n"


@contextlib.contextmanager
def running(folder: Path, *arguments: str | Path, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``analyze`` with its temporary files in ``folder``/tmp, and signals as a terminal's foreground job has them."""
    (folder / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "analyzer.cli", *map(str, arguments)],
        cwd=REPO,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "COLUMNS": "100", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        preexec_fn=lambda: [signal.signal(signum, signal.SIG_DFL) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(fd: int, text: bytes, timeout_s: float = 60) -> bytes:
    data = b""
    while text not in data:
        assert select.select([fd], [], [], timeout_s)[0], data
        try:
            data += os.read(fd, 65536)
        except OSError:  # a terminal whose other end is closed
            pytest.fail(f"no {text!r} in {data!r}")
    return data


def rest(fd: int) -> bytes:
    """Return what is still to be read from a terminal whose other end is closed."""
    data = b""
    with contextlib.suppress(OSError):
        while True:
            data += os.read(fd, 65536)
    os.close(fd)
    return data


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("sql", [BUSY, ONE_CALL], ids=["busy", "one call"])
def test_a_signal_ends_a_statement_and_leaves_nothing(sql: str, signum: int, recording: Path, tmp_path: Path) -> None:
    parent, child = os.openpty()  # progress on it says that the statement runs
    with running(tmp_path, "--sql", sql, recording, "-o", tmp_path / "out.csv", stderr=child) as process:
        os.close(child)
        shown = read_until(parent, b"--sql")
        for _ in range(3 if sql == ONE_CALL else 1):  # DuckDB does not look up from a single call
            process.send_signal(signum)
            time.sleep(0.05)  # or the kernel makes one of them
        assert process.wait(timeout=60) == 128 + signum
        shown += rest(parent)
    assert b"Traceback" not in shown
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "table", "json", "parquet"])
def test_rows_that_are_being_written_stop_and_the_file_does_not_appear(form: str, recording: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--sql", STREAM, recording, "--format", form, "-o", tmp_path / f"out.{form}") as process:
        while not (found := list(tmp_path.glob(".out.*.tmp"))) or found[0].stat().st_size == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, b"error: --sql was stopped.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]


def test_rows_into_a_pipe_stop_between_two_lines_or_within_one(recording: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--sql", STREAM, recording, "--format", "csv") as process:
        assert process.stdout
        read_until(process.stdout.fileno(), b"\n1000,")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (130, b"error: --sql was stopped.\n")


def test_an_expectation_stops_too(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "busy.sql").write_text(BUSY)
    parent, child = os.openpty()
    with running(tmp_path, "--expect", "no_kills", tmp_path / "busy.sql", recording, "--junit", tmp_path / "out.xml", stderr=child) as process:
        os.close(child)
        read_until(parent, b"busy.sql")
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    shown = rest(parent)
    assert (process.returncode, b"Traceback" in shown) == (130, False)
    assert stdout.startswith(b"FAIL     no_kills")
    assert not (tmp_path / "out.xml").exists()


def test_progress_is_for_terminals_and_gone_when_rows_come(recording: Path, tmp_path: Path) -> None:
    parent, child = os.openpty()
    with running(tmp_path, "--sql", STREAM, recording, "-o", tmp_path / "out.csv", "--format", "csv", stderr=child) as process:
        os.close(child)
        shown = read_until(parent, b" rows")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    os.close(parent)
    assert b"--sql" in shown


def test_what_a_killed_one_left_is_removed_by_the_next_and_not_what_another_one_uses(recording: Path, tmp_path: Path) -> None:
    spill = tmp_path / "tmp"
    parent, child = os.openpty()
    with running(tmp_path, "--sql", BUSY, recording, stderr=child) as process:
        os.close(child)
        read_until(parent, b"--sql")
        (in_use,) = spill.iterdir()
        command = [sys.executable, "-m", "analyzer.cli", "overview", str(recording)]
        for left in ([in_use], []):
            subprocess.run(command, cwd=REPO, env={**os.environ, "TMPDIR": str(spill)}, check=True, capture_output=True)
            assert list(spill.iterdir()) == left
            process.kill()
            process.wait()
    os.close(parent)
