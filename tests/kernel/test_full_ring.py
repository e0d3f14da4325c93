"""A ring that is full loses events, and every one of them is counted: rows + lost = made."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from tests.kernel.harness import Recording, Spawner, eventually, recorder, true_path

RING_BYTES = 1 << 20
MADE = 401


def await_stop(pid: int) -> None:
    """Wait until SIGSTOP has reached all threads of a process."""
    stats = [task / "stat" for task in Path(f"/proc/{pid}/task").iterdir()]
    eventually("the recorder is stopped", lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats))


def stride(recording: Recording, table: str) -> int:
    """Return the size of a record of ``table`` in its ring, as coverage counts it."""
    rows = recording.rows("coverage", table=table)
    size, rest = divmod(sum(row["bytes"] for row in rows), sum(row["events"] for row in rows))
    assert rest == 0
    return int(size)


def test_what_a_full_ring_loses_is_counted_exactly(tmp_path: Path) -> None:
    name = tmp_path / f"full{os.getpid()}"
    shutil.copy(true_path(), name)
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", "--ring-mib", 1, "--comm", name.name) as running:
        running.process.send_signal(signal.SIGSTOP)
        await_stop(running.pid)
        children = spawner.spawn(MADE, str(name))
        running.process.send_signal(signal.SIGCONT)
        recording = running.stop()
    rows, lost = recording.table("exec"), recording.lost("exec")
    assert len(rows) + lost == MADE
    # The kernel leaves no ring quite full: the positions of reader and writer would be the same as in an empty one.
    assert len(rows) == (RING_BYTES - 1) // stride(recording, "exec")
    assert [row["pid"] for row in rows] == children[: len(rows)]
    # Records of exit are small enough for all of them.
    assert [row["pid"] for row in recording.table("exit")] == children
    assert recording.lost("exit") == recording.lost("clone") == 0
    said = running.said()
    assert f"{len(rows):,} rows  lost {lost:,}\n" in said
    assert f"lost: {lost:,} events" in said


def test_a_recording_goes_on_whole_after_a_full_ring(tmp_path: Path) -> None:
    name = tmp_path / f"more{os.getpid()}"
    shutil.copy(true_path(), name)
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", "--ring-mib", 1, "--comm", name.name, "--print") as running:
        running.process.send_signal(signal.SIGSTOP)
        await_stop(running.pid)
        spawner.spawn(MADE, str(name))
        running.process.send_signal(signal.SIGCONT)
        (first,) = spawner.spawn(1, str(name))
        running.output.wait_for(rf" exit +{first} ")
        children = spawner.spawn(201, str(name))
        recording = running.stop()
    assert len(recording.table("exec")) + recording.lost("exec") == MADE + 1 + 201
    assert [row["pid"] for row in recording.table("exec")][-201:] == children
    assert [row["pid"] for row in recording.table("exit")][-201:] == children
