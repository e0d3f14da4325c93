"""What a recording says of itself: the time that it covers, what was attached, what it cost, what was there before."""

from __future__ import annotations

import json
import os
import platform
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recorder.schema import TABLES, arrow_schema
from tests.kernel.bpf_ids import held
from tests.kernel.harness import GIVES_WAY, PROGRAMS, Recording, Row, Spawner, boottime_ns, eventually, recorder, true_path

EVENTS = ("clone", "exec", "exit", "process")


@dataclass(frozen=True)
class Workload:
    recording: Recording
    spawner: int
    children: list[int]
    program_ids: set[int]
    """Programs that the recorder held open while it recorded, as /proc says."""
    before_ns: int
    began_ns: int
    after_ns: int


def segments(path: Path, table: str) -> int:
    return sum(line["table"] == table for line in Recording(path).manifest())


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    path = tmp_path_factory.mktemp("own_tables") / "r.bpftape"
    before_ns = boottime_ns()
    with Spawner() as spawner, recorder(path, "--segment-seconds", 1) as running:
        began_ns = boottime_ns()
        program_ids = {number for kind, number in held(running.pid) if kind == "prog_id"}
        children = []
        while segments(path, "exec") < 3:
            children += spawner.spawn(7, true_path())
        eventually("a second segment of coverage", lambda: segments(path, "coverage") >= 2)
        recording = running.stop()
    return Workload(recording, spawner.pid, children, program_ids, before_ns, began_ns, boottime_ns())


def test_files_are_what_the_manifest_says(workload: Workload) -> None:
    workload.recording.assert_consistent()
    on_disk = {str(path.relative_to(workload.recording.path)) for path in workload.recording.path.rglob("*") if path.is_file()}
    assert on_disk == {line["path"] for line in workload.recording.segments()} | {"manifest.jsonl"}


def test_every_file_names_its_format_table_and_recording(workload: Workload) -> None:
    tables = set()
    ids = set()
    for line in workload.recording.segments():
        path = workload.recording.path / line["path"]
        words = {name.decode(): value.decode() for name, value in pq.read_metadata(path).metadata.items()}
        assert words["bpftape.format"] == "1"
        assert words["bpftape.table"] == line["table"] == line["path"].split("/")[0]
        assert words["bpftape.recorder"].startswith("bpftape ")
        assert pq.read_schema(path).equals(arrow_schema(TABLES[line["table"]]))
        assert all(field.metadata[b"doc"] for field in pq.read_schema(path))
        tables.add(line["table"])
        ids.add(words["bpftape.recording_id"])
    assert {"clone", "exec", "exit", "process", "recording", "probe", "coverage", "clock", "cost"} <= tables <= set(TABLES)
    assert ids == {json.loads((workload.recording.path / "manifest.jsonl").read_text().splitlines()[0])["recording_id"]}


def test_the_manifest_has_the_first_and_last_time_of_each_segment(workload: Workload) -> None:
    for line in workload.recording.segments():
        time = TABLES[line["table"]].time
        times = pq.read_table(workload.recording.path / line["path"]).column(time).to_pylist() if time else [None]
        assert (line["first_ts_ns"], line["last_ts_ns"]) == ((min(times), max(times)) if time else (None, None))


def test_all_children_are_there_across_segments(workload: Workload) -> None:
    assert workload.children
    assert segments(workload.recording.path, "exec") >= 3
    for table in ("exec", "exit"):
        assert [row["pid"] for row in workload.recording.rows(table, ppid=workload.spawner)] == workload.children
    assert [row["child_pid"] for row in workload.recording.rows("clone", pid=workload.spawner)] == workload.children


@pytest.mark.parametrize("table", EVENTS)
def test_coverage_is_without_gap_or_overlap_from_start_to_end(workload: Workload, table: str) -> None:
    about = workload.recording.about()
    rows = workload.recording.rows("coverage", table=table)
    assert len(rows) >= 2
    edges = [(row["ts_ns"], row["ts_ns"] + row["interval_ns"]) for row in rows]
    assert edges[0][0] == about["start_ns"]
    assert edges[-1][1] == about["end_ns"]
    assert [begin for begin, _ in edges[1:]] == [end for _, end in edges[:-1]]
    assert {(row["attached"], row["tracer"]) for row in rows} == {(True, "clone")}


@pytest.mark.parametrize("table", EVENTS)
def test_coverage_counts_are_the_rows_of_the_table(workload: Workload, table: str) -> None:
    coverage = workload.recording.rows("coverage", table=table)
    rows = workload.recording.table(table)
    in_manifest = sum(line["rows"] for line in workload.recording.segments() if line["table"] == table)
    assert sum(row["events"] for row in coverage) == len(rows) == in_manifest > 0
    assert sum(row["lost"] for row in coverage) == 0
    strides = {row["bytes"] / row["events"] for row in coverage if row["events"]}
    assert len(strides) == 1
    assert min(strides) % 8 == 0


def test_the_recording_says_when_it_began_and_ended(workload: Workload) -> None:
    about = workload.recording.about()
    assert workload.before_ns < about["start_ns"] < workload.began_ns
    assert workload.began_ns < about["end_ns"] < workload.after_ns
    assert (about["clean_end"], about["end_reason"]) == (True, signal.SIGINT.name)


def test_the_recording_says_what_host_it_is_of(workload: Workload) -> None:
    about = workload.recording.about()
    assert (about["host"], about["kernel"], about["arch"]) == (platform.node(), platform.release(), platform.machine())
    assert about["cpus"] == os.cpu_count()
    assert about["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert about["command_line"] == ["record", "--output", str(workload.recording.path), "--segment-seconds", "1"]
    assert (about["tracers"], about["filters"]) == (["clone", "container", "tcp"], [])


def test_clock_rows_are_snapshots_of_the_three_clocks(workload: Workload) -> None:
    rows = workload.recording.table("clock")
    assert len(rows) >= 3
    assert rows == sorted(rows, key=lambda row: int(row["boottime_ns"]))
    assert workload.before_ns < rows[0]["boottime_ns"] <= workload.recording.about()["start_ns"]
    suspended_ns = boottime_ns() - time.monotonic_ns()  # read apart, hence the second of tolerance
    for row in rows:
        assert row["width_ns"] > 0
        assert abs(row["boottime_ns"] - row["monotonic_ns"] - suspended_ns) < 1e9 + row["width_ns"]
        assert workload.before_ns < row["boottime_ns"] < workload.after_ns


def test_probes_were_attached_before_the_start_and_detached_at_the_end(workload: Workload) -> None:
    about = workload.recording.about()
    probes = {(probe["tracer"], probe["hook"]): probe for probe in workload.recording.table("probe")}
    assert len(probes) == len(workload.recording.table("probe"))
    of_tasks = ["raw_tracepoint:task_newtask", "raw_tracepoint:sched_process_exec", "raw_tracepoint:sched_process_exit", "iterator:task"]
    if GIVES_WAY:
        of_tasks += [f"{hook} (stand-in)" for hook in of_tasks if hook.startswith("raw_tracepoint:")]
    assert {*((tracer, hook) for tracer in ("clone", "container") for hook in of_tasks)} == {key for key in probes if key[0] != "tcp"}
    stand_ins = {f"tracepoint:syscalls:sys_exit_{call} (stand-in)" for call in ("connect", "accept", "accept4")} if GIVES_WAY else set()
    assert {hook for tracer, hook in probes if tracer == "tcp"} - {"tracepoint:syscalls:sys_enter_connect"} == stand_ins | {
        "raw_tracepoint:inet_sock_set_state",
        "raw_tracepoint:inet_sock_set_state (stand-in)",
        "tracepoint:syscalls:sys_exit_connect",
        "tracepoint:syscalls:sys_exit_accept",
        "tracepoint:syscalls:sys_exit_accept4",
        "iterator:task_file",
        "iterator:tcp",
        "map_iterator:sockets",
    }
    for probe in probes.values():
        assert (probe["status"], probe["reason"]) == ("attached", None)
        assert workload.before_ns < probe["attached_ns"] <= about["start_ns"]
        assert probe["detached_ns"] == about["end_ns"]
    assert {probe["program_id"] for probe in probes.values()} == workload.program_ids


def test_cost_counts_the_runs_of_each_program(workload: Workload) -> None:
    rows = workload.recording.table("cost")
    runs: dict[str, list[Row]] = {}
    for row in rows:
        if row["program"] is not None:
            runs.setdefault(row["program"], []).append(row)
    for program, table in (("on_task_newtask", "clone"), ("on_sched_process_exec", "exec"), ("on_sched_process_exit", "exit")):
        # A program runs for threads that end, too, and is counted until it is detached.
        assert sum(row["run_count"] for row in runs[program]) >= len(workload.recording.table(table)) > 0
        assert sum(row["run_time_ns"] for row in runs[program]) > 0


def test_cost_has_the_recorders_own_time_and_memory(workload: Workload) -> None:
    rows = [row for row in workload.recording.table("cost") if row["program"] is None]
    for row in rows:
        assert row["cpu_user_ns"] >= 0
        assert row["cpu_system_ns"] >= 0
        assert 0 < row["rss_anon_bytes"] <= row["rss_bytes"]
    assert sum(row["cpu_user_ns"] for row in rows) > 0
    assert sum(row["written_bytes"] for row in rows) <= sum(line["bytes"] for line in workload.recording.manifest())


def test_cost_begins_with_getting_ready_and_then_has_the_intervals_of_coverage(workload: Workload) -> None:
    intervals = {(row["ts_ns"], row["interval_ns"]) for row in workload.recording.rows("coverage", table="exec")}
    for program in {row["program"] for row in workload.recording.table("cost")}:
        first, *rest = [(row["ts_ns"], row["interval_ns"]) for row in workload.recording.rows("cost", program=program)]
        assert sum(first) == workload.recording.about()["start_ns"]
        # A process's start is known to a tick of the kernel's clock.
        assert workload.before_ns - 1_000_000_000 // os.sysconf("SC_CLK_TCK") <= first[0] < workload.began_ns
        assert set(rest) == intervals
        assert len(rest) == len(intervals)


def test_processes_that_were_there_before_have_the_key_of_their_later_rows(workload: Workload) -> None:
    (before,) = workload.recording.rows("process", pid=workload.spawner)
    assert {row["start_ns"] for row in workload.recording.rows("clone", pid=workload.spawner)} == {before["start_ns"]}
    assert (before["ppid"], before["tid"], before["uid"]) == (os.getpid(), workload.spawner, os.getuid())
    assert before["cmdline"][-1] == str(PROGRAMS / "spawner.py")


def test_this_very_process_was_there_before(workload: Workload) -> None:
    (own,) = workload.recording.rows("process", pid=os.getpid())
    assert own["exe"] == str(Path("/proc/self/exe").readlink())
    assert own["cmdline"] == Path("/proc/self/cmdline").read_text().removesuffix("\0").split("\0")
    assert own["comm"] == Path("/proc/self/comm").read_text().strip()
    ticks = os.sysconf("SC_CLK_TCK")
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert own["start_ns"] * ticks // 1_000_000_000 == started
    spawned = workload.recording.rows("process", pid=workload.spawner)[0]
    assert own["cgroup_id"] == spawned["cgroup_id"]
    assert own["cgroup_path"] in {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}


def test_there_is_one_process_row_a_process_and_none_for_what_came_later(workload: Workload) -> None:
    rows = workload.recording.table("process")
    assert len({row["pid"] for row in rows}) == len(rows)
    assert not {row["pid"] for row in rows} & set(workload.children)
    kernel_threads = [row for row in rows if row["ppid"] == 2]
    assert all(row["exe"] is None and row["cmdline"] is None for row in kernel_threads)
