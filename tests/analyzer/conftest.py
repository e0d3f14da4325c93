"""Recordings from fixtures/rows/, and the real command line over them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rows import read_rows, write_recording
from tests.support import REPO

Analyze = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the recording that fixtures/rows/ tell, each table in two segments. Tests must not change it."""
    return write_recording(tmp_path_factory.mktemp("recording") / "web1_20260115T120000Z.bpftape", read_rows(), segments=2)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return the same recording for a test to change."""
    return write_recording(tmp_path / "copy.bpftape", read_rows())


def run(
    module: str,
    *arguments: str | Path,
    cwd: Path = REPO,
    stdin: str = "",
    env: dict[str, str] | None = None,
    preexec_fn: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPO), "COLUMNS": "120", "NO_COLOR": "1", **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=preexec_fn,
    )


@pytest.fixture(scope="session")
def analyze() -> Analyze:
    """Return a function that runs ``analyze`` as a user does."""
    return lambda *arguments, **options: run("analyzer.cli", *arguments, **options)


def on_terminal(*arguments: str | Path, columns: int = 120) -> tuple[int, list[str]]:
    """Return the status of ``analyze`` and the lines that it writes on a terminal of that width: stdout alone."""
    parent, child = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "analyzer.cli", *map(str, arguments)],
        cwd=REPO,
        env={**os.environ, "COLUMNS": str(columns)},
        stdout=child,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    os.close(child)
    data = b""
    while True:
        try:
            data += os.read(parent, 65536)
        except OSError:  # the other end is closed and all is read
            break
    os.close(parent)
    return done.returncode, data.decode().replace("\r\n", "\n").splitlines()


def error_of(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Assert that a command failed as it should: that status, nothing on stdout, a sentence on stderr and no traceback; return the sentence."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    return done.stderr
