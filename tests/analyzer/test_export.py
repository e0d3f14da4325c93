"""``bpftape export``: what other tools read is what the recording has, by their own readers."""

from __future__ import annotations

import csv
import itertools
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from analyzer.schema import columns
from recorder.schema import TABLES
from tests.analyzer.conftest import error_of, run
from tests.analyzer.verbs import verb as in_process
from tests.rows import read_rows, write_recording
from tests.support import REPO

ROWS = read_rows()
FORMS = {"csv": ".csv", "jsonl": ".jsonl", "duckdb": ".duckdb", "perfetto": ".perfetto-trace"}


def verb(*arguments: str | Path, **options: Any) -> Any:
    return run("recorder.bpftape", "export", *arguments, **options)


@pytest.fixture(scope="module")
def made(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the recording in every form, made as a user makes it: named by itself, in the current folder."""
    folder = tmp_path_factory.mktemp("export")
    for form in FORMS:
        done = verb(recording, "--format", form, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith(f"wrote {recording.stem}{FORMS[form]}: ")
        assert "coverage: " in done.stderr
    assert {path.name for path in folder.iterdir()} == {f"{recording.stem}{suffix}" for suffix in FORMS.values()}
    return {form: folder / f"{recording.stem}{suffix}" for form, suffix in FORMS.items()}


def test_what_was_made_is_for_its_owner_alone(made: dict[str, Path]) -> None:
    assert all(not stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made.values())


def test_csv_has_every_row_of_every_table(made: dict[str, Path]) -> None:
    for table, rows in ROWS.items():
        with (made["csv"] / f"{table}.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert len(found) == len(rows), table
        assert set(found[0]) == {column.name for column in columns(TABLES[table])}
    assert {path.stem for path in made["csv"].iterdir()} == set(ROWS)


def test_json_lines_have_the_values(made: dict[str, Path]) -> None:
    found = [json.loads(line) for line in (made["jsonl"] / "exec.jsonl").read_text().splitlines()]
    assert [(row["pid"], row["ts_ns"], row["argv"]) for row in found] == [(row["pid"], row["ts_ns"], row["argv"]) for row in ROWS["exec"]]


def test_the_database_has_the_tables_their_types_and_their_meaning(made: dict[str, Path]) -> None:
    with duckdb.connect(str(made["duckdb"]), read_only=True) as database:
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in ROWS}
        assert counts == {name: len(rows) for name, rows in ROWS.items()}
        comments = database.execute("SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'exec'").fetchall()
    found = {name: (kind, comment) for name, kind, comment in comments}
    assert found["ts"][0] == "TIMESTAMP"
    assert found["argv"][0] == "VARCHAR[]"
    assert found["ts_ns"] == ("BIGINT", f"{TABLES['exec'].column('ts_ns').doc} (ns)")


Event = dict[str, Any]


@pytest.fixture(scope="module")
def trace(made: dict[str, Path]) -> Any:
    """Return the trace as Perfetto's own classes read it."""
    found = perfetto_trace_pb2.Trace()
    found.ParseFromString(made["perfetto"].read_bytes())
    return found


def slices(trace: Any, category: str) -> list[Event]:
    """Return what begins in a category, with its end: that which comes next on the same track and closes it."""
    open_on: dict[int, list[Event]] = {}
    found: list[Event] = []
    events = [packet for packet in trace.packet if packet.HasField("track_event")]
    for packet in events:  # as they lie in the file; ends of one track come in order
        event = packet.track_event
        if event.type == event.TYPE_SLICE_BEGIN:
            item = {"name": event.name, "from": packet.timestamp, "category": event.categories[0], "track": event.track_uuid}
            item |= {note.name: note.string_value or note.int_value for note in event.debug_annotations}
            open_on.setdefault(event.track_uuid, []).append(item)
            found.append(item)
        elif event.type == event.TYPE_SLICE_END:
            open_on[event.track_uuid].pop()["to"] = packet.timestamp
    assert not any(open_on.values()), "everything that begins ends"
    return [item for item in found if item["category"] == category]


def test_connects_are_slices_with_their_results(trace: Any) -> None:
    found = slices(trace, "tcp_connect")
    assert len(found) == len(ROWS["tcp_connect"])
    expected = {(row["ts_ns"], row["outcome"], row["dport"]) for row in ROWS["tcp_connect"]}
    assert {(item["to"], item["outcome"], int(item["name"].split()[0].rpartition(":")[2])) for item in found} == expected
    assert all(item["to"] - item["from"] == item["latency_ns"] for item in found if item.get("latency_ns"))


def test_no_two_slices_of_a_track_overlap_but_those_inside_of_each_other(trace: Any) -> None:
    by_track: dict[int, list[Event]] = {}
    for category in ("tcp_connect", "tcp_close"):
        for item in slices(trace, category):
            by_track.setdefault(item["track"], []).append(item)
    for items in by_track.values():
        items.sort(key=lambda item: (item["from"], item["to"]))
        assert all(one["to"] <= two["from"] for one, two in itertools.pairwise(items))


def test_processes_have_tracks_with_their_ids_names_and_programs(trace: Any) -> None:
    tracks = {packet.track_descriptor.uuid: packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")}
    processes = {(track.process.pid, track.process.start_timestamp_ns) for track in tracks.values() if track.HasField("process")}
    assert {(row["pid"], row["start_ns"]) for table in ("exec", "exit", "process") for row in ROWS[table]} <= processes
    lives = slices(trace, "process")
    assert len(lives) == len(processes)
    assert all(item["from"] <= item["to"] for item in lives)
    assert len(slices(trace, "exec")) == len(ROWS["exec"])
    children = [track for track in tracks.values() if track.parent_uuid]
    assert children
    assert all(tracks[track.parent_uuid].HasField("process") for track in children)


def test_losses_are_counters(trace: Any) -> None:
    names = {packet.track_descriptor.uuid: packet.track_descriptor.name for packet in trace.packet if packet.track_descriptor.HasField("counter")}
    values: dict[str, list[float]] = {}
    for packet in trace.packet:
        if packet.track_event.type == packet.track_event.TYPE_COUNTER:
            values.setdefault(names[packet.track_event.track_uuid], []).append(packet.track_event.double_counter_value)
    lossy = {row["table"] for row in ROWS["coverage"] if row["lost"] and row["unwritten"] is None}
    assert {name.removeprefix("LOST of ") for name in values if name.startswith("LOST")} == lossy
    assert all(max(found) > 0 and found[-1] == 0 for name, found in values.items() if name.startswith("LOST"))


def test_the_clocks_are_there(trace: Any) -> None:
    snapshots = [packet.clock_snapshot for packet in trace.packet if packet.HasField("clock_snapshot")]
    assert [{clock.clock_id: clock.timestamp for clock in snapshot.clocks} for snapshot in snapshots] == [
        {6: row["boottime_ns"], 3: row["monotonic_ns"], 1: row["realtime_ns"]} for row in ROWS["clock"]
    ]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_already_is_left_alone(form: str, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    assert "x exists" in error_of(verb(recording, "--format", form, "-o", "x", cwd=tmp_path), 73)
    assert (tmp_path / "x").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_recording_leaves_nothing_half_done(form: str, tmp_path: Path) -> None:
    damaged = write_recording(tmp_path / "x.bpftape", ROWS)
    (damaged / "exec" / "000000.parquet").write_bytes(b"PAR1")
    done = verb(damaged, "--format", form, cwd=tmp_path)
    assert done.returncode == 65, done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.bpftape"]


def test_formats_and_places_that_make_no_sense_are_refused(recording: Path, tmp_path: Path) -> None:
    assert "csv" in error_of(verb(recording, "--format", "cvs", cwd=tmp_path), 2)
    assert "nowhere is no folder" in error_of(verb(recording, "--format", "duckdb", "-o", "nowhere/x", cwd=tmp_path), 73)
    assert list(tmp_path.iterdir()) == []


def test_without_perfettos_package_it_says_what_to_install(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "perfetto.py").write_text("raise ImportError\n")
    done = verb(recording, "--format", "perfetto", "-o", "x", cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{REPO}"})
    assert "bpftape[perfetto]" in error_of(done, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts small file systems")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kib", [16, 64])
def test_a_full_disk_is_said_wherever_it_is_noticed_and_nothing_is_left(form: str, kib: int, recording: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", tmp_path], check=True)
    try:
        done = in_process("export", recording, "--format", form, "-o", tmp_path / "x")
        left = sorted(path.name for path in tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    if done.returncode == 0:  # it was large enough
        assert left == ["x"]
    else:
        assert "x failed: No space left on device" in error_of(done, 74)
        assert left == []
    assert done.returncode == 74 or form != "duckdb", "DuckDB notices when it commits"
