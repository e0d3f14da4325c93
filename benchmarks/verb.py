"""Run a verb of `bpftape` in a process of its own, and measure it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def run_verb(*words: str) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Return what the verb told as JSON, the seconds that it took, and its CPU time and peak memory."""
    command = [str(Path(sys.executable).with_name("bpftape")), *words, "--json"]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told: dict[str, Any] = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    assert process.returncode == 0
    return told, seconds, {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}
