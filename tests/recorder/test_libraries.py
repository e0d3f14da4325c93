"""BCC is loaded as the distribution has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WARNS = "import warnings\nwarnings.warn('Due to _pack_, …', DeprecationWarning)\nclass BPF: pass\n"


def test_a_bcc_that_a_newer_python_warns_about_loads_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text(WARNS)
    words = [sys.executable, "-W", "error", "-c", "from recorder.libraries import load_bcc; print(load_bcc().__file__)"]
    environment = {**os.environ, "BPFTAPE_BCC": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == (f"{tmp_path}/__init__.py\n", "")
