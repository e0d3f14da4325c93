"""How a command starts: Ctrl-C before it can handle that, or where nobody needs to clean up; and what it does not import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPO

CTRL_C = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
INTERRUPTED = f"{CTRL_C}\ndef main(): print('ran')\n"
RUNS = f"from analyzer.cli import run_app\ndef work():\n    {CTRL_C}\ndef main():\n    run_app(work)\n"


@pytest.mark.parametrize(
    ("module", "before", "status", "output"),
    [
        (INTERRUPTED, signal.SIG_DFL, -signal.SIGINT, b""),
        (INTERRUPTED, signal.SIG_IGN, 0, b"ran\n"),  # as a shell starts background jobs
        (RUNS, signal.SIG_DFL, 130, b""),
    ],
    ids=["imports", "ignored", "runs"],
)
def test_ctrl_c_never_shows_a_traceback(module: str, before: signal.Handlers, status: int, output: bytes, tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", "from analyzer.launch import launch; launch('command')"],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, before),
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, output, b"")


@pytest.mark.parametrize("start", ["launch('command')", "importlib.import_module('command').main()"])
def test_pandas_is_not_imported_where_it_is_installed(start: str, tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("print('pandas')\n__version__ = '0'\n")
    (tmp_path / "command.py").write_text("import numpy, pyarrow\ndef main(): print(len(pyarrow.array(numpy.zeros(3))))\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import importlib; from analyzer.launch import launch; {start}"],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == (["3"] if "launch(" in start else ["pandas", "3"]), "else this test says nothing"
