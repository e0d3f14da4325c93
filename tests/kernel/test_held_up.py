"""A recorder that is stopped, or that gets no CPU, covers that time in longer intervals, and counts each event that its rings did not hold."""

from __future__ import annotations

import os
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kernel.harness import Recording, Spawner, recorder, true_path
from tests.kernel.left import Load, said
from tests.kernel.net import Program, add_cable, namespace
from tests.kernel.pings import ping
from tests.kernel.test_full_ring import await_stop

SECOND = 1_000_000_000


def longest_interval(recording: Recording, table: str) -> float:
    """Return the seconds of the longest interval of coverage; hold that there is no gap between the first and the last, nor an overlap."""
    about, rows = recording.about(), recording.rows("coverage", table=table)
    assert all(row["ts_ns"] + row["interval_ns"] == after["ts_ns"] for row, after in pairwise(rows))
    assert sum(row["interval_ns"] for row in rows) == about["end_ns"] - about["start_ns"]
    assert all(row["attached"] for row in rows)
    return float(max(row["interval_ns"] for row in rows) / SECOND)


def own_program(folder: Path, name: str) -> str:
    """Return the path of a program that ends at once and that nobody else runs."""
    return str(shutil.copy(true_path(), folder / f"{name}{os.getpid()}"))


@pytest.mark.parametrize("seconds", [3, pytest.param(20, marks=pytest.mark.long)])
def test_a_recorder_that_is_stopped_goes_on_with_all_that_its_rings_hold(tmp_path: Path, seconds: int) -> None:
    name = own_program(tmp_path, "stop")
    path = tmp_path / "r.bpftape"
    options = ["--segment-seconds", 1, "--comm", Path(name).name, "--tracers", "clone", "--drop", "icmp@right"]
    with namespace() as left, namespace() as right, Spawner() as spawner:
        add_cable(left, right)
        with recorder(path, *options, wrapper=right.inside()) as running:
            children = spawner.spawn(7, name)
            running.process.send_signal(signal.SIGSTOP)
            await_stop(running.pid)
            children += spawner.spawn(23, name)
            assert ping(left, "10.77.0.2", 5).answered == frozenset(), "who is stopped goes on dropping"
            time.sleep(seconds)
            running.process.send_signal(signal.SIGCONT)
            children += spawner.spawn(7, name)
            recording = running.stop()
    for table in ("exec", "exit"):
        assert [row["pid"] for row in recording.table(table)] == children
        assert recording.lost(table) == 0
        assert longest_interval(recording, table) >= seconds
    assert sum(row["packets"] for row in recording.table("xdp_drop")) == 5
    assert longest_interval(recording, "xdp_drop") >= seconds
    assert recording.about()["clean_end"]
    assert said("verify", path)[0]["state"] == "whole"


@pytest.mark.parametrize("seconds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_a_recorder_that_gets_hardly_any_cpu_counts_what_it_loses(tmp_path: Path, seconds: int) -> None:
    name = own_program(tmp_path, "slow")
    cpu = str(max(os.sched_getaffinity(0)))
    busy = ["taskset", "--cpu-list", cpu, "nice", "-n", "-20", "timeout", str(seconds), "/bin/sh", "-c", "echo 0; while :; do :; done"]
    options = ["--segment-seconds", 1, "--comm", Path(name).name, "--tracers", "clone", "--ring-mib", 1]
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", *options, wrapper=["taskset", "--cpu-list", cpu]) as running:
        waited_ns = run_delay_ns(running.pid)
        with Program(busy) as first, Program(busy) as second, Load(spawner, name) as load:
            for program in (first, second):
                program.hear()
            for program in (first, second):
                assert program.end() == 124, "what timeout(1) says when the time is over"
            waited_ns = run_delay_ns(running.pid) - waited_ns
        recording = running.stop()
    assert waited_ns > SECOND // 10, "there was a fault"
    pids = [row["pid"] for row in recording.table("exec")]
    assert len(pids) + recording.lost("exec") == len(load.pids) > 0
    assert set(pids) <= set(load.pids)
    longest_interval(recording, "exec")
    assert recording.about()["clean_end"]


def test_a_process_whose_arguments_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    # As one does that waits for a dead file server with its memory locked, and makes ps(1) hang. What hangs here is a pipe in the place of the file.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Spawner() as stuck, Spawner() as spawner:
        hidden = ["unshare", "--mount", "/bin/sh", "-c", f'mount --bind "{pipe}" /proc/{stuck.pid}/cmdline && exec "$@"', "sh"]
        with recorder(tmp_path / "r.bpftape", "--tracers", "clone", wrapper=hidden) as running:
            children = stuck.spawn(3, true_path())
            recording = running.stop()
        before = {row["pid"]: row["cmdline"] for row in recording.table("process")}
        assert before[stuck.pid] is None
        assert before[spawner.pid] == Path(f"/proc/{spawner.pid}/cmdline").read_text().removesuffix("\0").split("\0")
    assert [row["pid"] for row in recording.rows("exec", ppid=stuck.pid)] == children


def run_delay_ns(pid: int) -> int:
    """Return how long the threads of a process have waited for a CPU, as /proc/PID/schedstat has it."""
    return sum(int((task / "schedstat").read_text().split()[1]) for task in Path(f"/proc/{pid}/task").iterdir())
