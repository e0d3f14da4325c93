"""Threads are tasks of a process: they make no process rows, and a process ends once, when its last thread does."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.harness import Ended, Recording, Row, program, recorder, run_program

LEADERS = {
    "each thread by itself": ("thread", 22),
    "the last one for all": ("group", 22),
    "by a signal": ("signal", int(signal.SIGTERM)),
}


@dataclass(frozen=True)
class Workload:
    recording: Recording
    threads: Ended
    leaders: dict[str, Ended]
    together: Ended
    changed: Ended

    def exit(self, pid: int) -> Row:
        """Return the one row of exit of ``pid``."""
        (row,) = self.recording.rows("exit", pid=pid)
        return row


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    with recorder(tmp_path_factory.mktemp("threads") / "r.bpftape") as running:
        threads = run_program(program("threads", 7))
        leaders = {name: run_program(program("leader_first", 21, *how)) for name, how in LEADERS.items()}
        together = run_program(program("ends_together", 17, 5))
        changed = run_program(program("exec_from_thread"))
        recording = running.stop()
    return Workload(recording, threads, leaders, together, changed)


def test_7_threads_are_7_thread_rows_of_their_process(workload: Workload) -> None:
    process = workload.threads
    rows = workload.recording.rows("clone", pid=process.pid)
    assert sorted(row["child_tid"] for row in rows) == sorted(map(int, process.output.split()))
    assert len(rows) == 7
    (made,) = workload.recording.rows("clone", child_pid=process.pid, is_thread=False)
    for row in rows:
        assert row["is_thread"] is True
        assert row["clone_flags"] & 0x10000  # CLONE_THREAD
        assert row["child_pid"] == process.pid
        assert row["child_start_ns"] == row["start_ns"] == made["child_start_ns"]


def test_threads_have_no_exit_rows(workload: Workload) -> None:
    process = workload.threads
    tids = {int(tid) for tid in process.output.split()}
    assert workload.recording.rows("exit", pid=tids) == []
    assert workload.exit(process.pid)["exit_code"] == os.waitstatus_to_exitcode(process.status) == 31


@pytest.mark.parametrize("name", LEADERS)
def test_a_process_whose_leader_ends_first_ends_with_its_last_thread(workload: Workload, name: str) -> None:
    process = workload.leaders[name]
    gone_ns, last_ns = map(int, process.output.split())
    row = workload.exit(process.pid)
    assert gone_ns < last_ns < row["ts_ns"] < process.after_ns
    if os.WIFSIGNALED(process.status):
        assert (row["exit_code"], row["signal"]) == (None, os.WTERMSIG(process.status))
    else:
        assert (row["exit_code"], row["signal"]) == (os.WEXITSTATUS(process.status), None)
    assert row["tid"] != process.pid, "this is the last thread's end"
    assert row["comm"] == Path(sys.executable).name[:15], "and the name is the process's"
    (made,) = workload.recording.rows("clone", child_pid=process.pid, is_thread=False)
    assert row["start_ns"] == made["child_start_ns"]
    assert row["duration_ns"] > last_ns - row["start_ns"] > last_ns - gone_ns


def test_threads_that_end_at_the_same_moment_end_their_process_once(workload: Workload) -> None:
    pids = [int(pid) for pid in workload.together.output.split()]
    assert len(pids) == 17
    rows = workload.recording.rows("exit", pid=set(pids))
    assert [(row["pid"], row["exit_code"]) for row in rows] == list(zip(pids, range(17), strict=True))
    threads = workload.recording.rows("clone", pid=set(pids))
    assert sorted(row["pid"] for row in threads) == sorted(pids * 4)


def test_an_exec_from_a_thread_keeps_the_process(workload: Workload) -> None:
    process = workload.changed
    thread, pid = map(int, process.output.split())
    assert pid == process.pid != thread
    first, second = workload.recording.rows("exec", pid=process.pid)
    assert second["filename"] == "/bin/sh"
    assert second["argv"][0] == "sh"
    assert second["tid"] == process.pid, "the thread takes the leader's place"
    assert second["start_ns"] == first["start_ns"]


def test_the_old_leaders_end_at_an_exec_from_a_thread_is_no_end_of_the_process(workload: Workload) -> None:
    process = workload.changed
    thread = int(process.output.split()[0])
    row = workload.exit(process.pid)
    assert workload.recording.rows("exit", pid=thread) == []
    assert row["exit_code"] == os.waitstatus_to_exitcode(process.status) == 27
    assert row["ts_ns"] > workload.recording.rows("exec", pid=process.pid)[1]["ts_ns"]
    assert row["start_ns"] == workload.recording.rows("exec", pid=process.pid)[0]["start_ns"]
