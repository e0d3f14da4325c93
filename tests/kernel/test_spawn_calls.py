"""Every system call that makes a task makes one row, with the flags that strace saw it called with."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, program, recorder, run_program
from tests.kernel.witness import strace, strace_log

# linux/sched.h
FLAGS = {"CLONE_VM": 0x100, "CLONE_FS": 0x200, "CLONE_VFORK": 0x4000, "CLONE_CLEAR_SIGHAND": 0x1_0000_0000}
VFORK = FLAGS["CLONE_VFORK"] | FLAGS["CLONE_VM"]


@dataclass(frozen=True)
class Workload:
    recording: Recording
    made: dict[str, int]
    """The task that each call made, as the calling program says."""
    seen: dict[int, tuple[str, int]]
    """System call and flags by task, as strace says."""
    parent: int


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("spawn_calls")
    log = folder / "strace"
    with recorder(folder / "r.bpftape") as running:
        traced = run_program([*strace_log.COMMAND, "-o", str(log), *program("spawn_calls")])
        assert traced.status == 0, "strace did not run to its end"
        recording = running.stop()
    tasks = strace.made(strace_log.read(log))
    seen = {task.child_tid: (task.call, task.flags) for task in tasks}
    made = {call: int(task) for call, task in (line.rsplit(" ", 1) for line in traced.output.splitlines())}
    return Workload(recording, made, seen, tasks[0].parent.tid)


def test_strace_and_the_program_agree_on_what_was_made(workload: Workload) -> None:
    assert set(workload.seen) == set(workload.made.values())
    calls = {call: workload.seen[task][0] for call, task in workload.made.items()}
    assert calls["clone"] == "clone"
    assert calls["clone3"] == "clone3"
    assert calls["vfork"] in ("vfork", "clone3"), "which from Python 3.13 on posix_spawn(3) makes of it"
    assert calls.get("fork(2)", "fork") == "fork"


def test_each_call_makes_one_row_with_the_flags_that_strace_saw(workload: Workload) -> None:
    rows = workload.recording.rows("clone", pid=workload.parent)
    assert [(row["child_tid"], row["clone_flags"]) for row in rows] == [(task, workload.seen[task][1]) for task in workload.made.values()]


def test_vfork_and_posix_spawn_wait_for_their_child_and_share_memory_with_it(workload: Workload) -> None:
    flags = {call: workload.recording.rows("clone", child_tid=task)[0]["clone_flags"] for call, task in workload.made.items()}
    assert flags["vfork"] & VFORK == VFORK
    assert flags["posix_spawn"] & VFORK == VFORK
    assert flags["fork"] & VFORK == 0
    assert flags["clone"] == FLAGS["CLONE_FS"]
    assert flags["clone3"] == FLAGS["CLONE_CLEAR_SIGHAND"]


def test_only_the_thread_is_a_thread(workload: Workload) -> None:
    rows = workload.recording.rows("clone", pid=workload.parent)
    threads = [row for row in rows if row["is_thread"]]
    assert [row["child_tid"] for row in threads] == [workload.made["pthread_create"]]
    assert threads[0]["child_pid"] == workload.parent
    assert all(row["child_pid"] == row["child_tid"] for row in rows if not row["is_thread"])


def test_the_children_that_started_a_program_have_one_exec_row_and_all_have_one_exit_row(workload: Workload) -> None:
    codes = {"fork": 41, "fork(2)": 42, "clone": 43, "clone3": 44, "posix_spawn": 45, "vfork": 46}
    for call, task in workload.made.items():
        execs = [row["filename"] for row in workload.recording.rows("exec", pid=task)]
        exits = [row["exit_code"] for row in workload.recording.rows("exit", pid=task)]
        assert execs == (["/bin/sh"] if call in ("posix_spawn", "vfork") else [])
        assert exits == ([codes[call]] if call in codes else [])
    (row,) = workload.recording.rows("exec", pid=workload.parent, filename=sys.executable)
    assert row["argv"] == program("spawn_calls")
