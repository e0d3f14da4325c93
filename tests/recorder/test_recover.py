"""``bpftape recover``: what is whole is taken in, what is damaged is out of use, what is missing is counted, and no byte is lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest

from recorder.folder import RESERVE, RecordingFolder
from recorder.schema import FORMAT, MANIFEST, TABLES
from tests.analyzer.conftest import error_of, run
from tests.analyzer.test_recording import BAD, change_header, manifest, rewrite
from tests.analyzer.test_verify import rewrite_segment
from tests.analyzer.verbs import verb
from tests.rows import read_rows, write_recording

EXEC = "exec/000001.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a recording of a recorder that was killed: each table in two segments, and no end."""
    rows = read_rows()
    rows["recording"][0] |= {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}
    rows["exec"].sort(key=lambda row: row["ts_ns"])
    path = write_recording(tmp_path / "x.bpftape", rows, segments=2)
    path.joinpath(RESERVE).write_bytes(bytes(4_096))
    return path


def recover(path: Path) -> dict[str, Any]:
    """Recover twice: the second time nothing changes. Return what was done at first."""
    before = contents(path)
    done = verb("recover", "--json", path)
    assert done.returncode == 0, done.stderr
    first: dict[str, Any] = json.loads(done.stdout)
    for name, data in before.items():  # as long as somebody could read it, it is still there
        assert data in contents(path).values(), f"{name} is gone"
    after = {**contents(path), "times": [file.stat().st_mtime_ns for file in sorted(path.rglob("*"))]}
    second = json.loads(verb("recover", "--json", path).stdout)
    assert second["changed"] is False
    assert after == {**contents(path), "times": [file.stat().st_mtime_ns for file in sorted(path.rglob("*"))]}
    assert verb("verify", path).returncode == 0
    return first


def contents(path: Path) -> dict[str, bytes]:
    """Return all files of a folder in which something could be read."""
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != RESERVE}
    files.pop(MANIFEST)  # is checked line by line
    return files


def forget(path: Path, name: str) -> dict[str, Any]:
    """Take a segment's line out of the manifest, as if the recorder was killed before it wrote that; return the line."""
    lines = manifest(path)
    (line,) = (line for line in lines if line.get("path") == name)
    rewrite(path, [other for other in lines if other is not line])
    return line


def lost(path: Path) -> list[dict[str, Any]]:
    """Return the rows of coverage that count what was recorded and is missing."""
    live = {line["path"]: line for line in manifest(path)[1:]}
    rows = [row for name in live if str(name).startswith("coverage/") for row in pq.read_table(path / str(name)).to_pylist()]
    return [row for row in rows if row["unwritten"] is not None]


def test_a_whole_segment_that_the_manifest_does_not_name_is_taken_in(folder: Path) -> None:
    line = forget(folder, EXEC)
    done = recover(folder)
    assert (done["taken_in"], done["rows"], done["counted_as_lost"]) == ([EXEC], line["rows"], [])
    assert manifest(folder)[-1] == line
    assert not (folder / RESERVE).exists()


def test_a_finished_segment_that_has_no_name_yet_gets_one(folder: Path) -> None:
    line = forget(folder, EXEC)
    (folder / EXEC).rename(folder / (EXEC + ".tmp"))
    assert recover(folder)["taken_in"] == [EXEC]
    assert manifest(folder)[-1] == line
    assert not (folder / (EXEC + ".tmp")).exists()


def test_it_takes_the_next_number_where_its_own_is_taken(folder: Path) -> None:
    line = forget(folder, EXEC)
    (folder / EXEC).rename(folder / "exec/000000.parquet.tmp")
    assert recover(folder)["taken_in"] == [EXEC]
    assert manifest(folder)[-1] == line


def test_a_torn_segment_stays_where_it_is_and_its_rows_count_as_lost(folder: Path) -> None:
    line = forget(folder, EXEC)
    data = (folder / EXEC).read_bytes()[:-100]
    (folder / EXEC).unlink()
    (folder / (EXEC + ".tmp")).write_bytes(data)
    done = recover(folder)
    assert (done["taken_in"], done["left"]) == ([], [EXEC + ".tmp"])
    assert (folder / (EXEC + ".tmp")).read_bytes() == data
    (row,) = lost(folder)
    assert (row["table"], row["tracer"], row["lost"], row["unwritten"], row["events"]) == ("exec", "clone", line["rows"], line["rows"], 0)
    kept = max(entry["last_ts_ns"] for entry in manifest(folder)[1:] if entry["table"] == "exec")  # type: ignore[type-var]
    assert row["ts_ns"] == kept
    assert done["counted_as_lost"][0]["from_ts"].startswith("2026-01-15T12:00:")
    assert f"{line['rows']} of {len(read_rows()['exec'])} exec events lost" in verb("info", folder).stdout


def test_a_damaged_segment_is_put_out_of_use_and_what_was_in_it_counts_as_lost(folder: Path) -> None:
    data = bytearray((folder / EXEC).read_bytes())
    data[len(data) // 3] ^= 1
    (folder / EXEC).write_bytes(data)
    (line,) = (line for line in manifest(folder) if line.get("path") == EXEC)
    done = recover(folder)
    assert (done["put_out"], done["taken_in"]) == ([EXEC], [])
    assert manifest(folder)[-1]["replaces"] == [EXEC]
    (row,) = lost(folder)
    assert (row["lost"], row["ts_ns"], row["ts_ns"] + row["interval_ns"]) == (line["rows"], line["first_ts_ns"], line["last_ts_ns"])
    found = json.loads(verb("verify", "--json", folder).stdout)[0]
    assert [(item["table"], item["rows"], item["told"]) for item in found["missing"]] == [("exec", line["rows"], True)]


def test_what_an_older_recorder_wrote_is_counted_as_lost_once(folder: Path) -> None:
    for name in ("coverage/000000.parquet", "coverage/000001.parquet"):  # there was no column for what was not written
        rewrite_segment(folder, pq.read_table(folder / name).drop_columns(["unwritten"]), name)
    (folder / EXEC).write_bytes((folder / EXEC).read_bytes()[:-1])
    (line,) = (line for line in manifest(folder) if line.get("path") == EXEC)
    recover(folder)
    assert f"{line['rows']} of {len(read_rows()['exec'])} exec events lost" in verb("info", folder).stdout


@pytest.mark.parametrize("table", ["coverage", "recording", "clock", "probe", "container"])
def test_any_table_may_be_the_damaged_one(folder: Path, table: str) -> None:
    name = f"{table}/000000.parquet"
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    assert recover(folder)["put_out"] == [name]
    assert verb("info", folder).returncode == 0


def test_a_cut_off_last_line_is_kept_aside(folder: Path) -> None:
    text = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(text[:-40])
    line = json.loads(text.splitlines()[-1])
    done = recover(folder)
    assert done["taken_in"] == [line["path"]]
    assert (folder / f"{MANIFEST}.0").read_bytes() == text[:-40]
    assert manifest(folder)[-1] == line


def test_a_line_of_rubbish_is_left_out_and_its_segment_is_taken_in(folder: Path) -> None:
    text = (folder / MANIFEST).read_bytes()
    lines = text.splitlines(keepends=True)
    lost_path = json.loads(lines[3])["path"]
    lines[3] = b"\0" * len(lines[3].rstrip()) + b"\n"
    (folder / MANIFEST).write_bytes(b"".join(lines))
    done = recover(folder)
    assert done["taken_in"] == [lost_path]
    assert "written anew without a line that names no segment" in done["manifest"]
    assert (folder / f"{MANIFEST}.0").read_bytes() == b"".join(lines)


@pytest.mark.parametrize("harm", ["empty", "missing", "zeros", "a link", "a pipe"])
def test_a_lost_manifest_is_made_anew_from_what_the_segments_say(folder: Path, harm: str) -> None:
    lines = manifest(folder)
    if harm in ("missing", "a link", "a pipe"):
        (folder / MANIFEST).unlink()
    if harm == "a link":
        (folder / MANIFEST).symlink_to("/etc/passwd")
    elif harm == "a pipe":
        os.mkfifo(folder / MANIFEST)
    elif harm != "missing":
        (folder / MANIFEST).write_bytes(b"" if harm == "empty" else bytes(5_000))
    ended = run("recorder.bpftape", "recover", "--json", folder)  # confined, as a user's is
    assert ended.returncode == 0, ended.stderr
    done = json.loads(ended.stdout)
    assert "made anew" in done["manifest"]
    assert manifest(folder)[0] == lines[0]
    assert sorted(manifest(folder)[1:], key=str) == sorted(({**line} for line in lines[1:]), key=str)
    assert json.loads(verb("recover", "--json", folder).stdout)["changed"] is False


def test_the_newer_row_of_a_rewritten_table_takes_the_place_of_the_older(tmp_path: Path) -> None:
    rows = read_rows()
    made = RecordingFolder(tmp_path / "x.bpftape")
    made.write_rows(TABLES["clone"], rows["clone"])
    made.write_rows(TABLES["clock"], rows["clock"])
    made.write_rows(TABLES["coverage"], [row for row in rows["coverage"] if row["table"] == "clone"])
    made.write_rows(TABLES["recording"], [rows["recording"][0] | {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}])
    old = (made.path / "recording/000000.parquet").read_bytes()
    made.write_rows(TABLES["recording"], rows["recording"])
    made.close()
    line = forget(made.path, "recording/000001.parquet")
    (made.path / "recording/000000.parquet").write_bytes(old)
    done = json.loads(verb("recover", "--json", made.path).stdout)
    assert done["taken_in"] == ["recording/000001.parquet"]
    assert manifest(made.path)[-1] | {"replaces": line["replaces"]} == manifest(made.path)[-1] == line
    assert "clean: duration" in verb("info", made.path).stdout


@pytest.mark.parametrize("covered", [set(), {"clone"}], ids=["nothing", "one table"])
def test_after_a_kill_in_the_first_seconds_nothing_is_known_since_the_start(tmp_path: Path, covered: set[str]) -> None:
    rows = read_rows()
    made = RecordingFolder(tmp_path / "x.bpftape")
    made.write_rows(TABLES["recording"], [rows["recording"][0] | {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}])
    if covered:
        made.write_rows(TABLES["coverage"], [row for row in rows["coverage"] if row["table"] in covered])
    made.close()
    said = verb("recover", made.path).stdout.splitlines()
    assert said[-1] == "  nothing is known of what came after 2026-01-15 12:00:00.000 UTC: the recorder was ended at most some seconds later"


def another(folder: Path, **changes: Any) -> None:
    """Put a segment of another recording where a lost one was."""
    forget(folder, EXEC)
    other = write_recording(folder.parent / "other.bpftape", read_rows())
    path = other / "exec/000000.parquet"
    change_header(other, recording_id="f" * 32)
    table = pq.read_table(path)
    with pq.ParquetWriter(folder / EXEC, table.schema) as writer:
        writer.write_table(table)
        said = {"bpftape.format": "1", "bpftape.table": "exec", "bpftape.recording_id": "f" * 32, "bpftape.recorder": "x"}
        writer.add_key_value_metadata(said | changes)


def test_a_segment_of_another_recording_is_not_taken_in(folder: Path) -> None:
    another(folder)
    assert recover(folder)["left"] == [EXEC]


def test_a_recording_that_is_still_being_written_is_refused(tmp_path: Path) -> None:
    made = RecordingFolder(tmp_path / "x.bpftape")
    made.write_rows(TABLES["clone"], read_rows()["clone"])
    text = (made.path / MANIFEST).read_bytes()
    with mock.patch("time.sleep"):
        assert "is still being written" in error_of(verb("recover", made.path), 65)
    assert (made.path / RESERVE).exists()
    assert (made.path / MANIFEST).read_bytes() == text
    made.close()
    assert verb("recover", made.path).returncode == 0


def test_a_full_disk_changes_nothing_that_counts(folder: Path) -> None:
    (folder / EXEC).write_bytes(b"")
    text, real = (folder / MANIFEST).read_bytes(), os.fsync

    def full(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink().name == f"{MANIFEST}.tmp":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd)

    with mock.patch("os.fsync", full):
        assert "No space left on device" in error_of(verb("recover", folder), 74)
    assert (folder / MANIFEST).read_bytes() == text
    assert not (folder / f"{MANIFEST}.tmp").exists()
    assert recover(folder)["put_out"] == [EXEC]


def test_a_link_in_the_place_of_a_table_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder / "coverage", elsewhere)
    (folder / "coverage").symlink_to(elsewhere)
    before = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in elsewhere.iterdir()}
    error_of(verb("recover", folder), 74)
    assert before == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in elsewhere.iterdir()}


def newer(path: Path) -> None:
    change_header(path, bpftape_format=FORMAT + 1)


def foreign(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()
    (path / MANIFEST).write_text('{"name": "x"}\n')


NOTHING: dict[str, Callable[[Path], object]] = {
    **{name: BAD[name][0] for name in ("no folder", "empty folder", "a file")},
    "newer": newer,
    "foreign": foreign,
}


@pytest.mark.parametrize("nothing", NOTHING)
def test_where_there_is_nothing_to_recover_that_is_said(nothing: str, folder: Path) -> None:
    NOTHING[nothing](folder)
    before = sorted(map(str, folder.rglob("*")))
    error_of(verb("recover", folder), 65)
    assert sorted(map(str, folder.rglob("*"))) == before


def test_all_of_it_belongs_to_whom_it_belonged(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65_534, 65_534)
    (folder / EXEC).write_bytes(b"")
    recover(folder)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (folder, *folder.rglob("*"))} == {(65_534, 65_534)}
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}


def test_people_are_told_what_was_done_and_what_is_missing(folder: Path) -> None:
    forget(folder, "exit/000001.parquet")
    (folder / EXEC).write_bytes(b"")
    done = verb("recover", folder)
    lines = done.stdout.splitlines()
    assert lines[0] == "x.bpftape: recovered"
    assert "  taken in: exit/000001.parquet" in lines
    assert f"  damaged, and out of use from now on: {EXEC}" in lines
    assert any(line.startswith("  missing: exec, ") and line.endswith(f" {EXEC} is damaged") for line in lines)
    assert "  nothing is known of what came after 2026-01-15 12:00:10.000 UTC: the recorder was ended at most some seconds later" in lines
    assert verb("recover", folder).stdout.startswith("x.bpftape: nothing to recover\n")
