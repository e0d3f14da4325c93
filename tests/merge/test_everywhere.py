"""A merged recording where one recording is asked for: packed, exported, replayed, compared, and in the hands of strangers."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

from recorder.schema import MANIFEST
from tests.analyzer.conftest import error_of, run
from tests.analyzer.verbs import verb
from tests.merge.conftest import SEEN
from tests.merge.hosts import LATER_NS, apart, host, task, write

COUNTS = {"web1": 22, "db1": 7}


@pytest.fixture(scope="module")
def merged(pair: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return both hosts in one; tests must not change it."""
    output = tmp_path_factory.mktemp("merged") / "both.bpftape"
    assert verb("merge", *pair, "-o", output).returncode == 0
    return output


@pytest.fixture(scope="module")
def packed(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same, packed; tests must not change it."""
    path = tmp_path_factory.mktemp("packed") / "both.bpftape.zip"
    done = verb("pack", merged, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def copy(merged: Path, tmp_path: Path) -> Path:
    """Return a copy for a test to change."""
    return Path(shutil.copytree(merged, tmp_path / "in" / "both.bpftape"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pack_of_it_unpacks_to_itself_and_packs_to_the_same_file(merged: Path, packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as read:
        names = read.namelist()
    assert names[:2] == [f"both.bpftape/{MANIFEST}", f"both.bpftape/parts/000000/{MANIFEST}"]
    assert {name.removeprefix("both.bpftape/") for name in names} == set(files(merged))
    assert verb("unpack", packed, "-o", tmp_path).returncode == 0
    assert files(tmp_path / "both.bpftape") == files(merged)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "both.bpftape").rglob("*")} == {0o600, 0o700}
    assert verb("pack", tmp_path / "both.bpftape").returncode == 0
    assert (tmp_path / "both.bpftape.zip").read_bytes() == packed.read_bytes()


def test_a_pack_of_it_is_read_as_it_is(merged: Path, packed: Path) -> None:
    for name in ("info", "verify"):
        as_folder, as_pack = (verb(name, path) for path in (merged, packed))
        assert (as_pack.returncode, as_pack.stderr) == (0, "")
        assert as_pack.stdout == as_folder.stdout.replace("both.bpftape", "both.bpftape.zip")
    assert json.loads(verb("info", "--json", packed).stdout)["recording"] == str(packed)
    (line,) = json.loads(verb("ls", "--json", packed.parent).stdout)
    assert (line["host"], line["state"]) == ("web1, db1", "merged of 2")
    rows = [run("analyzer.cli", "service_map", path, "--format", "csv").stdout for path in (merged, packed)]
    assert rows[0] == rows[1]
    assert "web1" in rows[0]


def test_a_pack_of_it_can_be_merged_again(packed: Path, tmp_path: Path) -> None:
    third = write(tmp_path, "web2", apart(host("web1", boot_id="77777777-2222-3333-4444-555555555555"), 5 * LATER_NS), 7)
    assert verb("merge", packed, third, "-o", tmp_path / "three", "--clocks-within", "1h1s").returncode == 0
    found = json.loads(verb("info", "--json", tmp_path / "three").stdout)
    assert [part["name"] for part in found["parts"]][1:] == ["db1_20260115T120000Z.bpftape", "web2_20260115T120000Z.bpftape"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "duckdb"])
def test_what_is_exported_has_the_rows_of_all_hosts_on_the_time_line(form: str, merged: Path, tmp_path: Path) -> None:
    done = verb("export", merged, "--format", form, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "merged of 2 hosts, whose clocks are known to" in done.stderr
    if form == "duckdb":
        with duckdb.connect(str(tmp_path / "out"), read_only=True) as database:
            found = database.execute("SELECT host, ts_ns FROM tcp_connect").fetchall()
    else:
        text = (tmp_path / "out" / f"tcp_connect.{form}").read_text()
        rows = csv.DictReader(io.StringIO(text)) if form == "csv" else map(json.loads, text.splitlines())
        found = [(row["host"], int(row["ts_ns"])) for row in rows]
    assert {name: sum(1 for at, _ in found if at == name) for name in COUNTS} == COUNTS
    times = {name: [ts_ns for at, ts_ns in found if at == name] for name in COUNTS}
    assert min(times["web1"]) < min(times["db1"]) < max(times["web1"]), "db1 was up for 77,000 s longer"


def test_an_export_is_called_like_the_recording(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert verb("export", packed, "--format", "csv").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["both.csv"]


def test_in_a_trace_processes_and_counters_are_those_of_their_hosts(merged: Path, tmp_path: Path) -> None:
    assert verb("export", merged, "--format", "perfetto", "-o", tmp_path / "out").returncode == 0
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString((tmp_path / "out").read_bytes())
    tracks = {packet.track_descriptor.uuid: packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")}
    processes = {uuid: track.process for uuid, track in tracks.items() if track.HasField("process")}
    # Both hosts have an app and a postgres of one pid: four processes.
    assert sorted((item.process_name, item.pid) for item in processes.values()) == [
        ("db1: app", 600),
        ("db1: postgres", 700),
        ("web1: app", 600),
        ("web1: postgres", 700),
    ]
    connects = dict.fromkeys(COUNTS, 0)
    for packet in trace.packet:
        if "tcp_connect" in packet.track_event.categories:
            owner = processes[tracks[packet.track_event.track_uuid].parent_uuid].process_name
            connects[owner.partition(":")[0]] += 1
    assert connects == COUNTS
    counters = {track.name for track in tracks.values() if track.HasField("counter")}
    assert {"web1: events of tcp_connect", "db1: events of tcp_connect"} <= counters
    snapshots = [packet.clock_snapshot for packet in trace.packet if packet.HasField("clock_snapshot")]
    assert len(snapshots) == 1, "CLOCK_MONOTONIC of db1 is on no time line"


def test_a_replay_shows_all_hosts_in_the_order_of_the_time_line(merged: Path) -> None:
    done = verb("replay", merged, "--speed", "max", "--table", "tcp_connect", "--table", "tcp_accept")
    assert "merged of 2 hosts, whose clocks are known to" in done.stderr
    header, *lines = done.stdout.splitlines()
    assert header.split()[:3] == ["TIME", "HOST", "EVENT"]
    events = [line.split()[:3] for line in lines]
    assert events[:4] == [
        ["12:00:00.100200", "web1", "tcp_connect"],
        ["12:00:00.100499", "db1", "tcp_accept"],
        ["12:00:00.100549", "db1", "tcp_connect"],
        ["12:00:00.100550", "web1", "tcp_accept"],
    ]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert {name: sum(event[1:] == [name, "tcp_connect"] for event in events) for name in COUNTS} == COUNTS
    columns = [line.index(word) for line, word in ((header, "EVENT"), (lines[0], "tcp_connect"), (lines[1], "tcp_accept"))]
    assert len(set(columns)) == 1


def test_a_replay_of_one_host_and_time_is_narrowed_by_the_time_line(merged: Path) -> None:
    done = verb("replay", merged, "--speed", "max", "--table", "tcp_connect", "--host", "db1", "--since", "450ms", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["host"] for row in rows} == {"db1"}
    assert len(rows) == 3
    assert "There is no recording of host db2" in verb("replay", merged, "--host", "db2").stderr


def test_a_replay_of_one_recording_has_no_column_of_hosts(pair: list[Path]) -> None:
    assert verb("replay", pair[0], "--speed", "max").stdout.split()[:2] == ["TIME", "EVENT"]


def test_both_hosts_are_compared_with_one_or_with_both(merged: Path, packed: Path, pair: list[Path]) -> None:
    same = json.loads(verb("diff", merged, packed, "--json").stdout)
    assert same["rows"] == []
    found = json.loads(verb("diff", merged, pair[0], "--json").stdout)
    gone = {(row["aspect"], row["what"]): row for row in found["rows"] if row["change"] == "gone"}
    assert {what for aspect, what in gone if aspect == "accepts"} == {"postgres port 5432"}
    # 22 connections in ten seconds of each of two hosts.
    assert (gone["accepts", "postgres port 5432"]["a_events"], gone["accepts", "postgres port 5432"]["a_value"]) == (22, 66.0)
    assert any("A is merged of 2 recordings, B is one recording" in note for note in found["coverage"]["notes"])


def test_what_is_on_both_hosts_counts_for_both(tmp_path: Path) -> None:
    exits = [task("cron", 900 + number) | {"exit_code": 1, "duration_ns": 1, "core_dumped": False} for number in range(5)]
    rows = [host(name) for name in ("web1", "db1")]
    for found in rows:
        found["exit"] = [row | {"ts_ns": found["recording"][0]["start_ns"] + 1_000_000, "ts": found["recording"][0]["start_ts"]} for row in exits]
    parts = [write(tmp_path, "web1", rows[0], 1), write(tmp_path, "db1", apart(rows[1], LATER_NS), 2)]
    assert verb("merge", *parts, "-o", tmp_path / "both").returncode == 0
    (row,) = json.loads(verb("diff", tmp_path / "both", parts[0], "--only", "deaths", "--all", "--json").stdout)["rows"]
    assert (row["what"], row["change"], row["a_events"], row["b_events"], row["a_value"], row["b_value"]) == (
        "cron code 1",
        "same",
        10,
        5,
        30.0,
        30.0,
    )


@pytest.mark.parametrize("name", ["merged", "packed"])
def test_it_is_not_followed(name: str, request: pytest.FixtureRequest) -> None:
    done = run("analyzer.cli", "overview", request.getfixturevalue(name), "--follow")
    assert "is merged and does not grow" in error_of(done, 2)


def test_what_of_it_is_damaged_is_told_part_by_part(copy: Path) -> None:
    shutil.rmtree(copy / "parts" / "000000")
    done = verb("verify", copy)
    assert done.returncode == 65
    assert "parts/000000 is missing" in done.stderr
    assert done.stdout.startswith("both.bpftape/parts/000001: whole\n")
    assert "parts/000000 is missing" in error_of(verb("info", copy), 65)


@pytest.mark.parametrize("place", ["parts", "parts/000001"])
def test_no_link_leads_out_of_it(place: str, copy: Path, tmp_path: Path) -> None:
    shutil.move(copy / place, tmp_path / "elsewhere")
    (copy / place).symlink_to(tmp_path / "elsewhere")
    for name, *options in (["info"], ["pack"], ["replay"], ["export", "--format", "csv", "-o", str(tmp_path / "out")]):
        assert f"{place} is not a folder" in error_of(verb(name, copy, *options), 65)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "in"]


def nested(copy: Path) -> None:
    first = json.loads((copy / MANIFEST).read_text())
    inner = copy / "parts" / "000000"
    shutil.rmtree(inner)
    inner.mkdir()
    (inner / MANIFEST).write_text(json.dumps(first | {"recording_id": first["merged"]["parts"][0]["recording_id"]}) + "\n")


def exchanged(copy: Path) -> None:
    for old, new in (("000000", "x"), ("000001", "000000"), ("x", "000001")):
        (copy / "parts" / old).rename(copy / "parts" / new)


def changed(copy: Path) -> None:
    path = next((copy / "parts" / "000001").glob("tcp_accept/*.parquet"))
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a part that is merged itself": (nested, "is merged of several recordings"),
    "parts in each other's place": (exchanged, "is another recording than was merged"),
    "a part that is damaged": (changed, "is not what was written: its checksum is another one"),
    "a part that is missing": (lambda copy: shutil.rmtree(copy / "parts" / "000001"), "parts/000001 is missing"),
    "nonsense": (lambda copy: (copy / MANIFEST).write_text((copy / MANIFEST).read_text().replace('"parts"', '"arts"')), "makes no sense"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_with_it_is_found_before_it_is_packed(what: str, copy: Path) -> None:
    spoil, words = BAD[what]
    spoil(copy)
    done = verb("pack", copy)
    assert words in done.stderr
    assert (done.returncode, done.stdout) == (2 if what == "a part that is merged itself" else 65, "")
    assert [path.name for path in copy.parent.iterdir()] == ["both.bpftape"]


def members(packed: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(packed) as read:
        yield from ((name, read.read(name)) for name in read.namelist())


HOSTILE: dict[str, tuple[Callable[[str, bytes], dict[str, bytes]], str]] = {
    "a part that is missing": (lambda name, data: {} if "/parts/000001/" in name else {name: data}, f"parts/000001/{MANIFEST} is missing"),
    "a path that leads out of a part": (lambda name, data: {name: data, "both.bpftape/parts/000000/../../evil": b"x"}, "which no recording has"),
    "a part of a part": (lambda name, data: {name: data, f"both.bpftape/parts/000000/parts/000000/{MANIFEST}": b"x"}, "which no recording has"),
    "a part without a number": (lambda name, data: {name: data, f"both.bpftape/parts/../{MANIFEST}": b"x"}, "which no recording has"),
    "another recording in the place of a part": (
        lambda name, data: (
            {name.replace("/000000/", "/x/").replace("/000001/", "/000000/").replace("/x/", "/000001/"): data} if "/parts/" in name else {name: data}
        ),
        "parts/000000 is another recording than was merged",
    ),
    "nonsense": (lambda name, data: {name: data.replace(b'"parts"', b'"arts"')}, "makes no sense"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("command", ["info", "unpack", "replay"])
def test_a_hostile_pack_of_it_is_refused_and_nothing_is_written(command: str, hostile: str, packed: Path, tmp_path: Path) -> None:
    change, words = HOSTILE[hostile]
    path = tmp_path / "both.bpftape.zip"
    there = {made: new for name, data in members(packed) for made, new in change(name, data).items()}
    with zipfile.ZipFile(path, "w") as out:
        for name, data in there.items():
            out.writestr(name, data)
    (tmp_path / "out").mkdir()
    done = verb(command, path, *(("-o", tmp_path / "out") if command == "unpack" else ()))
    assert words in error_of(done, 65)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["both.bpftape.zip", "out"]


def test_a_pack_of_it_that_was_zipped_by_hand_is_taken(merged: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.bpftape.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in (merged, *sorted(merged.rglob("*"))):
            out.write(file, file.relative_to(merged.parent))
    assert verb("verify", path).returncode == 0
    assert len(SEEN) == sum(COUNTS.values())
