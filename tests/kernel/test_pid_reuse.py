"""Two processes that have the same process id, one after the other, are two: each row tells by start_ns of which it is."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("laps", "count"), [(3, 40), pytest.param(100, 200, marks=pytest.mark.long)])
def test_process_ids_that_come_round_name_another_process_each_time(tmp_path: Path, cli: Cli, laps: int, count: int) -> None:
    name = tmp_path / f"laps{os.getpid()}"
    shutil.copy(true_path(), name)
    with recorder(tmp_path / "r.bpftape", "--tracers", "clone", "--comm", name.name) as running:
        pids = json.loads(run_program(program("wraps", laps, count, name)).output)
        recording = running.stop()
    assert sum(after < before for before, after in itertools.pairwise(pids)) >= laps
    assert len(set(pids)) < len(pids) == laps * count
    keys = {}
    for table in ("exec", "exit"):
        rows = sorted(recording.table(table), key=lambda row: int(row["ts_ns"]))
        assert [row["pid"] for row in rows] == pids
        keys[table] = [(row["pid"], row["start_ns"]) for row in rows]
    assert keys["exec"] == keys["exit"]
    assert len(set(keys["exec"])) == len(pids)
    done = cli("analyze", "processes", "--format", "json", recording.path)
    assert sum(row["program"] == str(name) for row in json.loads(done.stdout)["rows"]) == len(pids)
