"""The folder of a recording: what is in it, who may read it, and what it does when something is in its way."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recorder import replaced
from recorder.errors import Exit, RecorderError
from recorder.folder import RESERVE, RESERVE_BYTES, RecordingFolder
from recorder.schema import MANIFEST, TABLES, Type, arrow_schema
from recorder.schema.parquet import parquet_options
from recorder.segment import RECORDER

CLOCK = TABLES["clock"]


def clock_rows(*times: int) -> list[dict[str, int]]:
    return [{"boottime_ns": time, "monotonic_ns": time, "realtime_ns": time, "width_ns": 1} for time in times]


def probe_rows(count: int) -> list[dict[str, Any]]:
    return [{"tracer": "clone", "hook": f"hook {number}", "tables": ["exec"], "status": "attached"} for number in range(count)]


def manifest(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / MANIFEST).read_text().splitlines()]


def refusal(action: Callable[[], object]) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        action()
    assert caught.value.hint
    return caught.value


def test_the_manifest_describes_each_closed_segment(tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    folder.write_rows(CLOCK, clock_rows(30, 10, 20))
    folder.write_rows(CLOCK, clock_rows(40))
    folder.close()
    header, *lines = manifest(folder.path)
    assert header == {"bpftape_format": 1, "recording_id": folder.recording_id, "recorder": RECORDER}
    assert [(line["path"], line["table"], line["rows"], line["first_ts_ns"], line["last_ts_ns"]) for line in lines] == [
        ("clock/000000.parquet", "clock", 3, 10, 30),
        ("clock/000001.parquet", "clock", 1, 40, 40),
    ]
    for line in lines:
        data = (folder.path / line["path"]).read_bytes()
        assert (line["bytes"], line["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert "replaces" not in line
    assert folder.bytes == sum(line["bytes"] for line in lines)
    written = pq.read_table(folder.path / "clock/000000.parquet")
    assert written.select(list(clock_rows(0)[0])).to_pylist() == clock_rows(30, 10, 20)


def test_a_table_that_is_rewritten_takes_the_place_of_the_segment_before(tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    for count in (1, 2, 3):
        folder.write_rows(TABLES["probe"], probe_rows(count))
    folder.close()
    assert [(line["path"], line.get("replaces")) for line in manifest(folder.path)[1:]] == [
        ("probe/000000.parquet", None),
        ("probe/000001.parquet", ["probe/000000.parquet"]),
        ("probe/000002.parquet", ["probe/000001.parquet"]),
    ]
    assert [path.name for path in (folder.path / "probe").iterdir()] == ["000002.parquet"]
    assert pq.read_metadata(folder.path / "probe/000002.parquet").num_rows == 3
    assert {line["first_ts_ns"] for line in manifest(folder.path)[1:]} == {None}


def test_an_open_segment_is_a_temporary_file_that_the_manifest_does_not_name(tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    segment = folder.segment(CLOCK)
    assert [path.name for path in (folder.path / "clock").iterdir()] == ["000000.parquet.tmp"]
    assert len(manifest(folder.path)) == 1
    segment.abandon()
    segment.abandon()
    assert list((folder.path / "clock").iterdir()) == []
    folder.write_rows(CLOCK, clock_rows(1))
    folder.close()
    assert [line["path"] for line in manifest(folder.path)[1:]] == ["clock/000001.parquet"], "a number is not used twice"


def test_only_the_owner_may_look_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = RecordingFolder(tmp_path / "r.bpftape")
        folder.write_rows(CLOCK, clock_rows(1))
    finally:
        os.umask(before)
    modes = {path.name: stat.filemode(path.lstat().st_mode) for path in (folder.path, *folder.path.rglob("*"))}
    folder.close()
    private = "-rw-------"
    assert modes == {"r.bpftape": "drwx------", "clock": "drwx------", "000000.parquet": private, MANIFEST: private, RESERVE: private}


def test_the_reserve_is_there_while_recording_and_gone_in_the_end(tmp_path: Path) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    assert (folder.path / RESERVE).stat().st_blocks * 512 >= RESERVE_BYTES
    folder.release_reserve()
    assert not (folder.path / RESERVE).exists()
    folder.close()
    assert [path.name for path in folder.path.iterdir()] == [MANIFEST]


def test_a_file_that_stands_where_a_segment_goes_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    folder = RecordingFolder(tmp_path / "r.bpftape")
    (folder.path / "clock").symlink_to(tmp_path)
    with pytest.raises(FileExistsError):
        folder.write_rows(CLOCK, clock_rows(1))
    (folder.path / "probe").mkdir()
    (folder.path / "probe").rmdir()
    folder.write_rows(TABLES["probe"], probe_rows(1))
    (folder.path / "probe" / "000001.parquet.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        folder.write_rows(TABLES["probe"], probe_rows(1))
    folder.close()
    assert victim.read_text() == "kept"
    assert not (tmp_path / "000000.parquet").exists()


def test_a_manifest_line_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    folder.write_rows(CLOCK, clock_rows(1))
    whole = (folder.path / MANIFEST).read_text()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(OSError, match="No space left on device"):
        folder.enter({"path": "clock/000001.parquet", "bytes": 1})
    monkeypatch.undo()
    assert (folder.path / MANIFEST).read_text() == whole
    folder.write_rows(CLOCK, clock_rows(2))
    folder.close()
    assert (folder.path / MANIFEST).read_text().startswith(whole)
    assert len(manifest(folder.path)) == 3


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path, force, said in (
        (tmp_path / "missing" / "r", False, f"{tmp_path / 'missing'}: no such folder"),
        (tmp_path / "file" / "r", False, "Not a directory"),
        (tmp_path / "file", True, "exists and is not a folder"),
        (tmp_path / "there", False, "exists"),
        (tmp_path / "link", False, "is a symbolic link"),
        (tmp_path / "link", True, "is a symbolic link"),
        (tmp_path / "dangling", False, "is a symbolic link"),
        (tmp_path / "dangling", True, "is a symbolic link"),
        (Path("/proc/r.bpftape"), False, "/proc"),
    ):
        error = refusal(lambda path=path, force=force: RecordingFolder(path, force))  # type: ignore[misc]
        assert error.code == Exit.OUTPUT, path
        assert said in error.message
    assert not (tmp_path / "nowhere").exists()
    assert list((tmp_path / "there").iterdir()) == []


def overwrite(path: Path, rows: Sequence[Mapping[str, Any]] = ()) -> None:
    folder = RecordingFolder(path, force=True)
    if rows:
        folder.write_rows(CLOCK, rows)
    folder.keep()
    folder.close()


def test_until_there_is_something_to_put_there_the_old_recording_stays_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    overwrite(path, clock_rows(1))
    old = manifest(path)
    folder = RecordingFolder(path, force=True)
    folder.write_rows(CLOCK, clock_rows(1))
    assert manifest(path) == old, "as a kill leaves it"
    folder.discard()
    folder.close()
    assert manifest(path) == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.bpftape"]


def test_what_a_killed_recorder_left_beside_is_removed_by_the_next_one_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    overwrite(path, clock_rows(1))
    killed = RecordingFolder(path, force=True)
    killed.write_rows(CLOCK, clock_rows(1))
    killed.close()  # as its end lets go of the lock
    left = [entry for entry in tmp_path.iterdir() if entry != path]
    assert len(left) == 1
    running = RecordingFolder(path, force=True)
    (under_way,) = [entry for entry in tmp_path.iterdir() if entry != path]
    assert under_way != left[0]
    for name in (".r.bpftape.old", f".r.bpftape.{'0' * 32}.new.kept", f".other.bpftape.{'0' * 32}.new"):
        (tmp_path / name).mkdir()
    (tmp_path / f".r.bpftape.{'1' * 32}.new").symlink_to(tmp_path / ".r.bpftape.old")
    kept = set(tmp_path.iterdir())
    overwrite(path)
    assert set(tmp_path.iterdir()) == kept
    running.discard()
    running.close()


@pytest.mark.parametrize("who_lacks_it", ["nobody", "the file system", "the C library"])
def test_two_folders_change_places(who_lacks_it: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if who_lacks_it == "the file system":
        monkeypatch.setattr(replaced, "_RENAME_EXCHANGE", 1 << 30)  # EINVAL
    if who_lacks_it == "the C library":
        monkeypatch.setattr(replaced, "libc", object)
    one, other = tmp_path / "one.new", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    replaced.exchange(one, other)
    assert ([entry.name for entry in one.iterdir()], [entry.name for entry in other.iterdir()]) == (["other"], ["one.new"])
    with pytest.raises(FileNotFoundError):
        replaced.exchange(one, tmp_path / "missing")
    assert {entry.name for entry in tmp_path.iterdir()} == {"one.new", "other"}


def test_force_overwrites_recordings_and_empty_folders_only(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    path.mkdir()
    overwrite(path)
    first = manifest(path)
    overwrite(path, clock_rows(1))
    assert manifest(path)[0] != first[0]
    overwrite(path)
    assert [entry.name for entry in path.iterdir()] == [MANIFEST]
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.bpftape"]
    (path / "notes.txt").write_text("kept")
    assert "notes.txt" in refusal(lambda: RecordingFolder(path, force=True)).message
    (path / MANIFEST).unlink()
    assert "is not a recording" in refusal(lambda: RecordingFolder(path, force=True)).message
    assert (path / "notes.txt").read_text() == "kept"


@pytest.mark.parametrize("name", TABLES)
def test_files_are_compressed_and_encoded_as_format_1_says(tmp_path: Path, name: str) -> None:
    table = TABLES[name]
    values: dict[Type, Any] = {Type.BOOL: True, Type.INT32: 7, Type.INT64: 7_000, Type.STRING: "text", Type.CATEGORY: "word", Type.STRINGS: ["a", ""]}
    values[Type.TIMESTAMP] = 1_700_000_000_000_000
    folder = RecordingFolder(tmp_path / "r.bpftape")
    folder.write_rows(table, [{column.name: values[column.type] for column in table.columns}] * 3)
    folder.close()
    path = folder.path / name / "000000.parquet"
    assert pq.read_table(path).schema.equals(arrow_schema(table))
    group = pq.read_metadata(path).row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        assert column.compression == "ZSTD"
        assert "BYTE_STREAM_SPLIT" not in column.encodings
        if column.path_in_schema in ("ts", "ts_ns", "boottime_ns", "monotonic_ns", "realtime_ns"):
            assert "DELTA_BINARY_PACKED" in column.encodings, column.path_in_schema
    assert set(parquet_options(table)["use_dictionary"]) >= {column.name for column in table.columns if column.type is Type.CATEGORY}
    words = pq.read_metadata(path).metadata
    assert {name.decode() for name in words if name.startswith(b"bpftape.")} == {
        f"bpftape.{word}" for word in ("format", "table", "recording_id", "recorder")
    }
