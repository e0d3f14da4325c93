"""What another program of the kernel's does for one that was left out: each event has its row, and one only, whichever of the two ran."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kernel.harness import PROGRAMS, Recording, program, recorder, true_path

GIVING_WAY = (sys.executable, "-P", str(PROGRAMS / "giving_way.py"))
PROCESSES, COUNT = 16, 24


@pytest.mark.parametrize(
    "wrapper",
    [(), GIVING_WAY, (*GIVING_WAY, "--left-out")],
    ids=["as this kernel is", "where both run", "where the first ones are left out"],
)
def test_processes_that_start_others_all_at_once_have_a_row_of_each_table(tmp_path: Path, wrapper: tuple[str, ...]) -> None:
    with recorder(tmp_path / "r.bpftape", "--follow-children", wrapper=wrapper, command=program("crowd", PROCESSES, COUNT, true_path())) as running:
        assert running.await_end() == 0, running.said()
    recording = Recording(tmp_path / "r.bpftape")
    processes = [[int(pid) for pid in line.split()] for line in running.output.everything().splitlines()]
    started = sorted(pid for _, *children in processes for pid in children)
    own = sorted(pid for pids in processes for pid in pids)
    assert len(started) == PROCESSES * COUNT

    assert sorted(row["child_pid"] for row in recording.rows("clone", child_pid=set(own))) == own
    assert sorted(row["pid"] for row in recording.rows("exec", pid=set(started))) == started
    assert sorted(row["pid"] for row in recording.rows("exit", pid=set(own))) == own
    assert [recording.lost(table) for table in ("clone", "exec", "exit", "container")] == [0, 0, 0, 0]
    assert [probe["reason"] for probe in recording.table("probe") if probe["reason"]] == []
