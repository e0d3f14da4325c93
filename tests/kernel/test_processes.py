"""23 processes are 23 rows of clone, exec and exit, and each row says what the process and its parent saw of it themselves."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.kernel.harness import Ended, Recording, Row, cgroup_mounts, program, recorder, run_program

CODES = (0, 1, 2, 3, 7, 11, 42, 64, 99, 126, 127, 128, 129, 200, 255)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT)


@dataclass(frozen=True)
class Workload:
    recording: Recording
    ended: list[Ended]

    def row(self, table: str, process: Ended) -> Row:
        """Return the one row that ``table`` has of ``process``."""
        rows = self.recording.rows(table, **{"child_pid" if table == "clone" else "pid": process.pid})
        assert len(rows) == 1, f"{len(rows)} rows of {table} for {process}"
        return rows[0]


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("processes")
    ways = [("code", code) for code in CODES] + [("signal", int(number)) for number in SIGNALS]
    with recorder(folder / "r.bpftape") as running:
        ended = [run_program(program("ending", how, number, folder)) for how, number in ways]
        recording = running.stop()
    return Workload(recording, ended)


def test_23_processes_are_23_rows_of_each_table(workload: Workload) -> None:
    pids = {process.pid for process in workload.ended}
    assert len(pids) == 23
    found = {
        "clone": [row["child_pid"] for row in workload.recording.rows("clone", pid=os.getpid(), is_thread=False) if row["child_pid"] in pids],
        "exec": [row["pid"] for row in workload.recording.rows("exec", pid=pids)],
        "exit": [row["pid"] for row in workload.recording.rows("exit", pid=pids)],
    }
    expected = [process.pid for process in workload.ended]  # one ran after the other
    assert found == {"clone": expected, "exec": expected, "exit": expected}


def test_the_parent_is_the_process_that_started_it(workload: Workload) -> None:
    for process in workload.ended:
        clone = workload.row("clone", process)
        assert (clone["pid"], clone["ppid"], clone["child_tid"], clone["is_thread"]) == (os.getpid(), os.getppid(), process.pid, False)
        assert workload.row("exec", process)["ppid"] == os.getpid()
        assert workload.row("exit", process)["ppid"] == os.getpid()


def test_programs_have_their_file_and_arguments(workload: Workload) -> None:
    for process in workload.ended:
        row = workload.row("exec", process)
        assert (row["filename"], row["filename_truncated"]) == (sys.executable, False)
        assert (row["argv"], row["argv_truncated"]) == (process.argv, False)
        assert row["comm"] == Path(sys.executable).name[:15]
        assert row["tid"] == process.pid


def test_ends_are_what_wait_says(workload: Workload) -> None:
    for process in workload.ended:
        row = workload.row("exit", process)
        status = process.status
        signalled = os.WIFSIGNALED(status)
        assert row["exit_code"] == (None if signalled else os.WEXITSTATUS(status))
        assert row["signal"] == (os.WTERMSIG(status) if signalled else None)
        assert row["core_dumped"] == os.WCOREDUMP(status)
    codes = [workload.row("exit", process)["exit_code"] for process in workload.ended]
    assert codes == [*CODES, *[None] * len(SIGNALS)]
    dumped = [process for process in workload.ended if os.WCOREDUMP(process.status)]
    assert dumped or Path("/proc/sys/kernel/core_pattern").read_text().strip() == ""


def test_the_start_is_the_same_in_all_three_tables(workload: Workload) -> None:
    for process in workload.ended:
        start_ns = workload.row("clone", process)["child_start_ns"]
        assert workload.row("exec", process)["start_ns"] == start_ns
        assert workload.row("exit", process)["start_ns"] == start_ns
        began_ns = int(process.output.split()[0])
        assert process.before_ns < start_ns < began_ns


def test_lives_are_longer_than_the_child_measured_and_shorter_than_the_parent_did(workload: Workload) -> None:
    for process in workload.ended:
        row = workload.row("exit", process)
        began_ns, slept_ns = map(int, process.output.split())
        assert slept_ns - began_ns < row["duration_ns"] < process.after_ns - process.before_ns
        assert slept_ns < row["ts_ns"] < process.after_ns
        assert row["duration_ns"] == row["ts_ns"] - row["start_ns"]


def test_rows_of_one_process_are_in_the_order_of_its_life(workload: Workload) -> None:
    for process in workload.ended:
        times = [workload.row(table, process)["ts_ns"] for table in ("clone", "exec", "exit")]
        assert process.before_ns < times[0] < times[1] < times[2] < process.after_ns


def own_cgroup() -> Path:
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    mounts = cgroup_mounts()
    if "memory" in mounts and paths.get("", "/") == "/":
        return mounts["memory"] / paths["memory"].lstrip("/")
    return mounts["cgroup2"] / paths[""].lstrip("/")


def test_user_cgroup_and_namespaces_are_those_of_proc(workload: Workload) -> None:
    (depth,) = [len(line.split()) - 2 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("NSpid:")]
    expected = {
        "uid": os.getuid(),
        "cgroup_id": own_cgroup().stat().st_ino,
        "pid_ns": Path("/proc/self/ns/pid").stat().st_ino,
        "net_ns": Path("/proc/self/ns/net").stat().st_ino,
        "pid_ns_level": depth,
    }
    for process in workload.ended:
        for table in ("clone", "exec", "exit"):
            row = workload.row(table, process)
            assert {name: row[name] for name in expected} == expected


def test_wall_clock_times_are_the_boot_clock_shifted_by_the_first_clock_row(workload: Workload) -> None:
    clock = workload.recording.table("clock")[0]
    for process in workload.ended:
        row = workload.row("exec", process)
        microseconds = (row["ts_ns"] + clock["realtime_ns"] - clock["boottime_ns"]) // 1_000
        assert row["ts"] == datetime(1970, 1, 1) + timedelta(microseconds=microseconds)
