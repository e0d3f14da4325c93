"""Folders that are no good recordings, each through the real command line; and how one is chosen where none is named."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.errors import AnalyzerError, Exit
from analyzer.recording import newest_recording, open_recording
from recorder.schema import FORMAT, MANIFEST, TABLES, arrow_schema
from tests.analyzer.conftest import Analyze, error_of
from tests.rows import read_rows, write_recording

COUNT = "SELECT count(*) AS n FROM exec"


def manifest(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def rewrite(folder: Path, lines: list[dict[str, object]]) -> None:
    (folder / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in lines))


def replace(folder: Path, table: pa.Table) -> None:
    """Put ``table`` in the place of exec's segment, and the new size into the manifest: what a liar would do."""
    path = folder / "exec" / "000000.parquet"
    pq.write_table(table, path)
    resize(folder, path)


def resize(folder: Path, path: Path) -> None:
    lines = manifest(folder)
    for line in lines:
        if line.get("path") == f"{path.parent.name}/{path.name}":
            line["bytes"] = path.stat().st_size
    rewrite(folder, lines)


def cut(folder: Path) -> None:
    path = folder / "exec" / "000000.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def cut_and_lie(folder: Path) -> None:
    cut(folder)
    resize(folder, folder / "exec" / "000000.parquet")


def garble(folder: Path) -> None:
    path = folder / "exec" / "000000.parquet"
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    data[4:-footer] = b"\xff" * (len(data) - footer - 4)
    path.write_bytes(data)


def change_header(folder: Path, **values: object) -> None:
    lines = manifest(folder)
    lines[0] |= values
    rewrite(folder, lines)


def change_segment(folder: Path, **values: object) -> None:
    lines = manifest(folder)
    lines[1] |= values
    rewrite(folder, lines)


def link_segment(folder: Path) -> None:
    path = folder / "exec" / "000000.parquet"
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def link_table(folder: Path) -> None:
    (folder / "exec").rename(folder / "elsewhere")
    (folder / "exec").symlink_to(folder / "elsewhere")


def pipe(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def make_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def no_parquet(folder: Path) -> None:
    path = folder / "exec" / "000000.parquet"
    path.write_bytes(b"x" * 500)
    resize(folder, path)


def without(column: str) -> pa.Table:
    table = pa.Table.from_pylist(read_rows()["exec"], schema=arrow_schema(TABLES["exec"]))
    return table.drop_columns([column])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "There is no recording at"),
    "empty folder": (empty, f"is not a recording: it has no {MANIFEST}"),
    "a file": (make_file, "is not a recording"),
    "empty manifest": (lambda folder: (folder / MANIFEST).write_text(""), "is an empty recording"),
    "no segment": (lambda folder: rewrite(folder, manifest(folder)[:1]), "ended before its first segment"),
    "a manifest of something else": (lambda folder: (folder / MANIFEST).write_text('{"name": "x"}\n'), "is not a recording: the first line"),
    "not JSON": (lambda folder: (folder / MANIFEST).write_text("hello\n"), "is not a recording: the first line"),
    "nested without end": (lambda folder: (folder / MANIFEST).write_text("[" * 100_000 + "\n"), "is not a recording: the first line"),
    "a pipe": (pipe, "is not a regular file"),
    "newer format": (
        lambda folder: change_header(folder, bpftape_format=FORMAT + 1),
        f"has recording format {FORMAT + 1}; this analyzer reads format 1 to {FORMAT}",
    ),
    "a version that is true": (lambda folder: change_header(folder, bpftape_format=True), "is not a recording"),
    "an id with a quote": (lambda folder: change_header(folder, recording_id="x' OR 1=1 --"), "no usable recording_id"),
    "a path that leads out": (
        lambda folder: change_segment(folder, path="../exec/000000.parquet"),
        "line 2 of its manifest.jsonl does not name a segment",
    ),
    "an absolute path": (lambda folder: change_segment(folder, path="/etc/passwd"), "does not name a segment"),
    "another table's path": (lambda folder: change_segment(folder, table="clone"), "does not name a segment"),
    "a size that is none": (lambda folder: change_segment(folder, bytes="many"), "line 2 of its manifest.jsonl is not a segment's"),
    "fewer rows than none": (lambda folder: change_segment(folder, rows=-5), "line 2 of its manifest.jsonl is not a segment's"),
    "more bytes than a file has": (
        lambda folder: change_segment(folder, bytes=1 << 63),
        "line 2 of its manifest.jsonl claims more bytes than a segment can have",
    ),
    "a version that nobody would read": (lambda folder: change_header(folder, bpftape_format=10**400), "is not a recording: the first line"),
    "a missing segment": (lambda folder: (folder / "exec" / "000000.parquet").unlink(), "exec/000000.parquet is missing"),
    "a missing table": (lambda folder: shutil.rmtree(folder / "exec"), "exec is missing"),
    "a truncated segment": (cut, "exec/000000.parquet has"),
    "a truncated segment of the right size": (cut_and_lie, "No magic bytes found"),
    "a garbled segment": (garble, "A file of the recording is damaged"),
    "no Parquet": (no_parquet, "No magic bytes found"),
    "a foreign Parquet file": (
        lambda folder: replace(folder, pa.table({"a": [1]})),
        "is not a table of a recording: wrong or missing column ts, ts_ns",
    ),
    "a column too few": (lambda folder: replace(folder, without("pid")), "wrong or missing column pid."),
    "a column of another type": (
        lambda folder: replace(folder, without("pid").append_column("pid", pa.array(["1"] * 11))),
        "wrong or missing column pid.",
    ),
    "a recording_id of its own": (
        lambda folder: replace(folder, without("argv").append_column("recording_id", pa.array(["x"] * 11))),
        "wrong or missing column recording_id.",
    ),
    "a linked segment": (link_segment, "exec/000000.parquet is not a regular file"),
    "a linked table": (link_table, "exec is not a folder"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_recording_is_refused_with_what_is_wrong(bad: str, copy: Path, analyze: Analyze) -> None:
    harm, said = BAD[bad]
    harm(copy)
    # Reads pages, where max() would be content with the footer.
    assert said in error_of(analyze("--sql", "SELECT count(DISTINCT filename) FROM exec", copy), 65)


def test_a_recording_of_another_user_is_no_permission(copy: Path) -> None:
    me, nobody = os.geteuid(), 65534
    copy.chmod(0)
    if me == 0:  # root may read everything
        os.seteuid(nobody)
    try:
        with pytest.raises(AnalyzerError, match="may not be read by this user") as raised:
            open_recording(copy)
    finally:
        os.seteuid(me)
        copy.chmod(0o700)
    assert raised.value.code == Exit.PERMISSION


def test_a_torn_last_line_is_said_and_not_used(copy: Path, analyze: Analyze) -> None:
    with (copy / MANIFEST).open("a") as file:
        file.write('{"path": "exec/000001.parq')
    done = analyze("--sql", COUNT, copy, "--format", "csv")
    assert (done.returncode, done.stdout) == (0, "n\n11\n")
    assert "the last line of copy.bpftape's manifest is cut off" in done.stderr


def test_a_replaced_segment_does_not_count_whether_its_file_is_gone_or_not(copy: Path) -> None:
    lines = manifest(copy)
    (first,) = [line for line in lines if line.get("path") == "recording/000000.parquet"]
    shutil.copy(copy / "recording" / "000000.parquet", copy / "recording" / "000001.parquet")
    rewrite(copy, [*lines, first | {"path": "recording/000001.parquet", "replaces": ["recording/000000.parquet"]}])
    assert [segment.path.name for segment in open_recording(copy).tables["recording"]] == ["000001.parquet"]
    (copy / "recording" / "000000.parquet").unlink()
    assert [segment.path.name for segment in open_recording(copy).tables["recording"]] == ["000001.parquet"]


def test_a_table_without_a_segment_is_typed_and_empty(tmp_path: Path, analyze: Analyze) -> None:
    rows = read_rows()
    folder = write_recording(tmp_path / "x.bpftape", rows | {"exec": []})
    done = analyze("--sql", "SELECT max(argv[1]) AS t, count(*) AS n, max(recording_id) AS id FROM exec", folder, "--format", "csv")
    assert (done.returncode, done.stdout) == (0, "t,n,id\n,0,\n")


def test_a_nullable_column_that_an_older_recorder_did_not_have_is_null(copy: Path, analyze: Analyze) -> None:
    replace(copy, without("argv"))
    done = analyze("--sql", "SELECT count(*) AS n, count(argv) AS argvs FROM exec", copy, "--format", "csv")
    assert (done.returncode, done.stdout) == (0, "n,argvs\n11,0\n")


def test_what_a_newer_recorder_added_can_be_read(copy: Path, tmp_path: Path, analyze: Analyze) -> None:
    table = pa.Table.from_pylist(read_rows()["exec"], schema=arrow_schema(TABLES["exec"]))
    replace(copy, table.append_column("shiny", pa.array(range(11))))
    (copy / "novel").mkdir()
    pq.write_table(pa.table({"a": [7]}), copy / "novel" / "000000.parquet")
    size = (copy / "novel" / "000000.parquet").stat().st_size
    rewrite(copy, [*manifest(copy), {"path": "novel/000000.parquet", "table": "novel", "rows": 1, "bytes": size}])
    other = write_recording(tmp_path / "other.bpftape", read_rows(), uuid.UUID(int=2))
    done = analyze(
        "--sql", "SELECT count(*) AS n, sum(shiny)::BIGINT AS s, (SELECT max(a) FROM novel) AS a FROM exec", copy, other, "--format", "csv"
    )
    assert (done.returncode, done.stdout) == (0, "n,s,a\n22,55,7\n")


def test_every_view_ends_in_the_host_and_the_recordings_id(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    other = write_recording(tmp_path / "other.bpftape", read_rows(), uuid.UUID(int=2))
    done = analyze("--sql", "SELECT recording_id, count(*) AS n FROM exec GROUP BY ALL ORDER BY ALL", recording, other, "--format", "csv")
    assert done.stdout == f"recording_id,n\n{uuid.UUID(int=2).hex},11\n5eed0000000000000000000000000001,11\n"
    for table in TABLES:
        columns = analyze("--sql", f"DESCRIBE {table}", recording, "--format", "csv").stdout.splitlines()
        assert columns[-1].startswith("recording_id,VARCHAR")
        assert columns[-2].startswith("host,VARCHAR") or table == "recording"


def test_the_same_recording_twice_would_count_twice_and_is_refused(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    shutil.copytree(recording, tmp_path / "again.bpftape")
    assert "are the same recording" in error_of(analyze("overview", recording, tmp_path / "again.bpftape"), 2)


@pytest.mark.parametrize("name", ["it's [1]*?.bpftape", "a;b --\n.bpftape", "ümläut \x1b[31m.bpftape", "\u202efile.bpftape", "a'||'b.bpftape"])
def test_a_folders_name_may_hold_anything(name: str, tmp_path: Path, analyze: Analyze) -> None:
    folder = write_recording(tmp_path / name, read_rows())
    write_recording(tmp_path / "it's 1xx.bpftape", read_rows(), uuid.UUID(int=2))  # what the name would match as a pattern
    done = analyze("--sql", COUNT, folder, "--format", "csv")
    assert (done.returncode, done.stdout) == (0, "n\n11\n")
    assert "\x1b" not in analyze("--sql", COUNT, cwd=tmp_path).stderr


def test_the_newest_recording_is_that_of_the_latest_name_then_the_latest_writing(tmp_path: Path) -> None:
    rows = {"clock": read_rows()["clock"]}
    for number, name in enumerate(["web2_20260102T000000Z.bpftape", "web1_20260103T000000Z.bpftape", "web1_20260101T000000Z.bpftape"]):
        write_recording(tmp_path / name, rows, uuid.UUID(int=number))
    assert newest_recording(tmp_path).name == "web1_20260103T000000Z.bpftape"
    (tmp_path / "zzz.bpftape").mkdir()  # no manifest: no recording
    write_recording(tmp_path / "mine.bpftape", rows)
    os.utime(tmp_path / "mine.bpftape" / MANIFEST, (2e9, 2e9))
    assert newest_recording(tmp_path).name == "mine.bpftape"


def test_with_no_recording_named_the_newest_of_the_folder_is_taken_and_said(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    done = analyze("--sql", COUNT, "--format", "csv", cwd=recording.parent)
    assert (done.returncode, done.stdout) == (0, "n\n11\n")
    assert done.stderr.startswith(f"recording: {recording.name} (the newest in this folder)\n")
    assert "There is no recording" in error_of(analyze("overview", cwd=tmp_path), 65)
