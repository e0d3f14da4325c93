"""A wall clock that is set while recording changes no time of any row: only the table ``clock`` tells, and who asks for it.

What is stepped is what the recorder reads: programs/clock_steps.py says why.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

from tests.kernel.harness import PROGRAMS, Recording, Spawner, eventually, launched, true_path
from tests.support import REPO, Cli

HOUR = 3_600


def test_a_step_of_the_wall_clock_moves_no_row_and_is_told(tmp_path: Path, cli: Cli) -> None:
    path, ahead = tmp_path / "r.bpftape", tmp_path / "ahead"
    ahead.write_text("0")
    stepped = ["/usr/bin/env", f"PYTHONPATH={REPO}", sys.executable, str(PROGRAMS / "clock_steps.py"), str(ahead)]
    # The words behind: the command `record` itself, which a shell drops.
    wrapper = ["/bin/sh", "-c", f'shift; exec {" ".join(stepped)} "$@"', "sh"]
    recording, children = Recording(path), []
    with Spawner() as spawner, launched(path, "--tracers", "clone", "--segment-seconds", 1, wrapper=wrapper) as running:
        running.errors.wait_for("^recording ")
        for seconds in (0, HOUR, -2 * HOUR):
            ahead.write_text(str(seconds))
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
    assert [round(row["step_us"] / 1e6) for row in found if row["found"] == "step"] == [HOUR, -3 * HOUR]
    assert json.loads(cli("bpftape", "verify", "--json", path).stdout)[0]["state"] == "whole"


def is_ahead(recording: Recording, seconds: int) -> bool:
    """Say whether the wall clock was so far ahead at the last reading that is in a closed segment, against the first one."""
    offsets = [row["realtime_ns"] - row["boottime_ns"] for row in recording.table("clock")]
    return bool(offsets) and round((offsets[-1] - offsets[0]) / 1e9) == seconds
