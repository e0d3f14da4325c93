"""Two processes that have the same process id, one after the other, are two: each row tells by start_ns of which it is."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.kernel.harness import eventually, program, recorder, run_program, true_path
from tests.support import Cli

SLEEP = ("/bin/sleep", "0.05")


def run_as(pid: int, words: Sequence[str]) -> None:
    """Run a program as a process of that id, once the kernel has freed it: it does so behind a grace period of RCU."""
    eventually("the process id is free", lambda: run_program(program("as_pid", pid, *words)).output.splitlines()[-1:] == [str(pid)])


def test_processes_of_one_pid_are_told_apart_by_their_start(tmp_path: Path, cli: Cli) -> None:
    with recorder(tmp_path / "r.bpftape", "--tracers", "clone") as running:
        first = run_program([true_path()])
        run_as(first.pid, SLEEP)
        run_as(first.pid, ["/bin/sh", "-c", "kill -9 $$"])
        recording = running.stop()
    ran = [[true_path()], list(SLEEP), ["/bin/sh", "-c", "kill -9 $$"]]
    ends = [(0, None), (0, None), (None, signal.SIGKILL)]
    by_time = {name: sorted(recording.rows(name, pid=first.pid), key=lambda row: int(row["ts_ns"])) for name in ("exec", "exit")}
    starts = [row["start_ns"] for row in by_time["exec"]]
    assert [row["argv"] for row in by_time["exec"]] == ran
    assert starts == sorted(set(starts))
    assert [(row["start_ns"], row["exit_code"], row["signal"]) for row in by_time["exit"]] == [
        (start, *end) for start, end in zip(starts, ends, strict=True)
    ]
    assert {row["child_start_ns"] for row in recording.rows("clone", child_pid=first.pid)} == set(starts)
    done = cli("analyze", "processes", "--format", "json", recording.path)
    rows = sorted((row for row in json.loads(done.stdout)["rows"] if row["pid"] == first.pid), key=lambda row: int(row["start_ns"]))
    assert [(row["start_ns"], row["program"], row["execs"]) for row in rows] == [
        (start, os.path.realpath(words[0]) if number == 0 else words[0], 1) for number, (start, words) in enumerate(zip(starts, ran, strict=True))
    ]
