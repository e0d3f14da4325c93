"""However a recorder ends, nothing of it stays in the kernel, and what it wrote can be read."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recorder.btf import Btf
from recorder.compilations import FOLLOW_PROBES
from recorder.tracers import all_tracers
from tests.kernel.bpf_ids import exists, held
from tests.kernel.harness import Recording, Spawner, eventually, recorder, true_path


def perf_events(pid: int) -> int:
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            count += "[perf_event]" in str(descriptor.readlink())
    return count


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: signal.Signals(number).name)
def test_no_program_map_or_link_stays_in_the_kernel(tmp_path: Path, number: signal.Signals) -> None:
    # --follow-children has the most of everything: filters and their hooks besides the tracers, each with a program of its own.
    btf = Btf.of_running_kernel()
    functions = {(name, probe.function) for name, tracer in all_tracers().items() for probe in tracer.probes if probe.when(btf)}
    options = ["--follow-children", "--pid", "1", "--uid", "0"]
    read, write = os.pipe()
    with recorder(tmp_path / "r.bpftape", *options, command=["/bin/sh", "-c", "read _"], stdin=read) as running:
        os.close(read)
        objects = held(running.pid)
        assert {kind for kind, _ in objects} >= {"prog_id", "map_id"}
        assert len([kind for kind, _ in objects if kind == "prog_id"]) == len(functions) + len([probe for probe in FOLLOW_PROBES if probe.when(btf)])
        # What tracepoints are attached by is no object of BPF: it holds its program, which would stay with it.
        assert perf_events(running.pid) >= 3
        assert all(exists(*item) for item in objects)
        running.process.send_signal(number)
        running.process.wait()
        os.close(write)
    # The kernel frees maps and programs behind a grace period of RCU.
    eventually("all BPF objects are gone", lambda: not any(exists(*item) for item in objects))


def entered(path: Path, table: str) -> list[str]:
    return [line["path"] for line in Recording(path).manifest() if line["table"] == table]


def test_a_clean_end_leaves_the_recording_and_no_other_file(tmp_path: Path) -> None:
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    with recorder(home / "r.bpftape", env={"TMPDIR": str(temporary), "HOME": str(home)}) as running:
        recording = running.stop()
    assert list(temporary.iterdir()) == []
    assert [path.name for path in home.iterdir()] == ["r.bpftape"]
    files = {str(path.relative_to(recording.path)) for path in recording.path.rglob("*") if not path.is_dir()}
    assert files == {"manifest.jsonl", *(line["path"] for line in recording.segments())}


def test_what_was_closed_before_a_kill_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Spawner() as spawner, recorder(path, "--segment-seconds", 1, env={"TMPDIR": str(temporary)}) as running:
        children = spawner.spawn(23, true_path())
        eventually("segments of all tables are closed", lambda: all(entered(path, table) for table in ("clone", "exec", "exit", "coverage")))
        spawner.spawn(7, true_path())
        running.process.kill()
        running.process.wait()
    recording = Recording(path)
    recording.assert_consistent()
    about = recording.about()
    assert (about["clean_end"], about["end_ns"], about["end_ts"], about["end_reason"]) == (False, None, None, None)
    assert {probe["detached_ns"] for probe in recording.table("probe")} == {None}
    rows = [row["pid"] for row in recording.rows("exec", ppid=spawner.pid)]
    assert rows[:23] == children
    assert recording.table("coverage")[0]["ts_ns"] == about["start_ns"]
    assert list(temporary.iterdir()) == []
    for table in {line["table"] for line in recording.manifest()}:
        assert pq.read_schema(path / entered(path, table)[-1])
