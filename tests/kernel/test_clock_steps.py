"""A wall clock that is set while recording changes no time of any row: only the table ``clock`` tells, and who asks for it.

On a machine of one's own it is the machine's. Elsewhere what is stepped is what the recorder reads: programs/clock_steps.py says why.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kernel.harness import PROGRAMS, Recording, Spawner, eventually, launched, true_path
from tests.support import REPO, Cli

HOUR = 3_600


Step = Callable[[int], object]
"""Puts the wall clock that many seconds ahead of where it was at first."""


@contextmanager
def as_it_is_read(folder: Path) -> Iterator[tuple[list[str], Step]]:
    ahead = folder / "ahead"
    ahead.write_text("0")
    stepped = ["/usr/bin/env", f"PYTHONPATH={REPO}", sys.executable, str(PROGRAMS / "clock_steps.py"), str(ahead)]
    # The words behind: the command `record` itself, which a shell drops.
    yield ["/bin/sh", "-c", f'shift; exec {" ".join(stepped)} "$@"', "sh"], lambda seconds: ahead.write_text(str(seconds))


@contextmanager
def of_the_machine(_: Path) -> Iterator[tuple[list[str], Step]]:
    first_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def step(seconds: int) -> None:
        time.clock_settime_ns(time.CLOCK_REALTIME, first_ns + seconds * 1_000_000_000 + time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    try:
        yield [], step
    finally:
        step(0)


@pytest.mark.parametrize("clock", [as_it_is_read, pytest.param(of_the_machine, marks=pytest.mark.own_machine)])
def test_a_step_of_the_wall_clock_moves_no_row_and_is_told(
    tmp_path: Path, cli: Cli, clock: Callable[[Path], AbstractContextManager[tuple[list[str], Step]]]
) -> None:
    path = tmp_path / "r.bpftape"
    recording, children = Recording(path), []
    with (
        clock(tmp_path) as (wrapper, step),
        Spawner() as spawner,
        launched(path, "--tracers", "clone", "--segment-seconds", 1, wrapper=wrapper) as running,
    ):
        running.errors.wait_for("^recording ")
        for seconds in (0, HOUR, -2 * HOUR):
            step(seconds)
            children += spawner.spawn(5, true_path())
            eventually("a clock that is so far ahead is written down", partial(is_ahead, recording, seconds))
        running.stop()
    about, rows = recording.about(), sorted(recording.rows("exec", ppid=spawner.pid), key=lambda row: int(row["ts_ns"]))
    assert [row["pid"] for row in rows] == children
    # All times of rows have the one offset that the first reading had.
    start_us = about["start_ts"].timestamp() * 1e6
    for row in rows:
        assert abs((row["ts"].timestamp() * 1e6 - start_us) - (row["ts_ns"] - about["start_ns"]) / 1e3) <= 1
    coverage = recording.rows("coverage", table="exec")
    assert all(row["ts_ns"] + row["interval_ns"] == after["ts_ns"] for row, after in pairwise(coverage))
    assert (about["clean_end"], recording.lost("exec")) == (True, 0)
    found = json.loads(cli("analyze", "clock", "--format", "json", path).stdout)["rows"]
    steps = [round(row["step_us"] / 1e6) for row in found if row["found"] == "step"]
    assert [seconds for seconds in steps if seconds] == [HOUR, -3 * HOUR], "but for the part of a second that setting a clock takes"
    assert json.loads(cli("bpftape", "verify", "--json", path).stdout)[0]["state"] == "whole"


def is_ahead(recording: Recording, seconds: int) -> bool:
    """Say whether the wall clock was so far ahead at the last reading that is in a closed segment, against the first one."""
    offsets = [row["realtime_ns"] - row["boottime_ns"] for row in recording.table("clock")]
    return bool(offsets) and round((offsets[-1] - offsets[0]) / 1e9) == seconds
