"""A second recorder beside the first changes nothing for it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from tests.kernel.harness import Recording, Row, launched, program, run_program

# What each of the two reads for itself: its programs run one after the other, and each has its own clock row.
OWN = ("ts", "ts_ns", "duration_ns")


def shared(recording: Recording, table: str, pids: set[int]) -> list[Row]:
    column = "child_pid" if table == "clone" else "pid"
    return [{name: value for name, value in row.items() if name not in OWN} for row in recording.rows(table, **{column: pids})]


def test_two_recorders_agree_on_every_process_that_both_saw(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(launched(tmp_path / f"{name}.bpftape")) for name in ("first", "second"))
        for running in (first, second):
            running.errors.wait_for("^recording ")
        both = [run_program(program("ending", "code", code, tmp_path)).pid for code in range(23)]
        ended = first.stop()
        later = [run_program(program("ending", "code", code, tmp_path)).pid for code in range(5)]
        went_on = second.stop()
    for table, count in (("clone", 23), ("exec", 23), ("exit", 23)):
        rows = shared(ended, table, set(both))
        assert len(rows) == count
        assert shared(went_on, table, set(both)) == rows
    assert [row["pid"] for row in ended.rows("exit", ppid=os.getpid())][-23:] == both
    assert [row["pid"] for row in went_on.rows("exit", ppid=os.getpid())][-5:] == later
    for recording in (ended, went_on):
        assert recording.about()["clean_end"] is True
        assert {recording.lost(table) for table in ("clone", "exec", "exit")} == {0}
        recording.assert_consistent()
