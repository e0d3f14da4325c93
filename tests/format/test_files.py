"""Recordings obey FORMAT.md: one made here by the recorder's own writer, and every one that is kept in fixtures/."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder.folder import RESERVE, RecordingFolder
from recorder.format_doc import FORMAT_MD, READ_AS
from recorder.schema import FORMAT, MANIFEST, TABLES, Column, Encoding, Type, arrow_schema
from tests.rows import read_rows, write_recording
from tests.support import REPO

# A kept recording stays as it was written, also when nullable columns are added to its tables.
KEPT = sorted((REPO / "fixtures").glob("*.bpftape"))

Line = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of the hand-written rows, in up to two segments a table."""
    return write_recording(tmp_path_factory.mktemp("made") / "made.bpftape", read_rows(), segments=2)


@pytest.fixture(params=["made", *(path.name for path in KEPT)])
def recording(request: pytest.FixtureRequest, made: Path) -> Path:
    """Return each recording in turn."""
    return made if request.param == "made" else REPO / "fixtures" / request.param


def lines(recording: Path) -> tuple[Line, list[Line]]:
    """Return the manifest's first line and those of all segments that are part of the recording."""
    text = (recording / MANIFEST).read_text()
    assert text.endswith("\n")
    header, *segments = map(json.loads, text.splitlines())
    replaced = {path for line in segments for path in line.get("replaces", [])}
    return header, [line for line in segments if line["path"] not in replaced]


def files(recording: Path) -> Iterator[tuple[Line, pq.ParquetFile]]:
    for line in lines(recording)[1]:
        with pq.ParquetFile(recording / line["path"]) as file:
            yield line, file


def columns_in(recording: Path, line: Line, file: pq.ParquetFile) -> list[Column]:
    """Return the columns that a file should have: all, but for those that were added since a kept recording was written."""
    is_kept = recording.parent.name == "fixtures"
    names = set(file.schema_arrow.names)
    return [column for column in TABLES[line["table"]].columns if column.name in names or not (is_kept and column.nullable)]


def examples() -> list[Line]:
    """Return the JSON objects that FORMAT.md shows."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", FORMAT_MD.read_text())]


def test_the_manifest_has_the_keys_of_the_text(recording: Path) -> None:
    header, segments = lines(recording)
    first, segment = examples()
    assert list(header) == list(first)
    assert header["bpftape_format"] == first["bpftape_format"] == FORMAT
    assert re.fullmatch(r"[0-9a-f]{32}", header["recording_id"])
    assert re.fullmatch(r"bpftape \d+\.\d+\.\d+", header["recorder"])
    assert segments
    for line in segments:
        assert list(line) in (list(segment), [*segment, "replaces"])
        assert re.fullmatch(r"[a-z][a-z0-9_]*/[0-9]{6}\.parquet", line["path"])
        assert line["path"].split("/")[0] == line["table"]


def test_each_line_of_the_manifest_is_true(recording: Path) -> None:
    for line, file in files(recording):
        data = (recording / line["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest(), file.metadata.num_rows) == (line["bytes"], line["sha256"], line["rows"])
        time = TABLES[line["table"]].time
        times = file.read([time])[time].to_pylist() if time else []
        assert (line["first_ts_ns"], line["last_ts_ns"]) == ((min(times), max(times)) if times else (None, None))


def test_nothing_else_is_in_the_folder(recording: Path) -> None:
    found = {str(path.relative_to(recording)) for path in recording.rglob("*") if not path.is_dir()}
    assert found == {MANIFEST, *(line["path"] for line in lines(recording)[1])}


def test_every_file_says_what_it_belongs_to(recording: Path) -> None:
    header, _ = lines(recording)
    for line, file in files(recording):
        metadata = {key.decode(): value.decode() for key, value in file.metadata.metadata.items() if key != b"ARROW:schema"}
        assert metadata == {
            "bpftape.format": str(FORMAT),
            "bpftape.table": line["table"],
            "bpftape.recording_id": header["recording_id"],
            "bpftape.recorder": header["recorder"],
        }
        assert b"ARROW:schema" in file.metadata.metadata


def test_every_file_has_the_columns_of_the_schema_with_their_docs_and_units(recording: Path) -> None:
    for line, file in files(recording):
        found, columns = file.schema_arrow, columns_in(recording, line, file)
        assert found.remove_metadata().equals(
            pa.schema([arrow_schema(TABLES[line["table"]]).field(column.name) for column in columns]).remove_metadata()
        )
        for field, column in zip(found, columns, strict=True):
            assert field.nullable == column.nullable
            assert field.metadata.get(b"unit", b"").decode() == (column.unit or "")
            assert field.metadata[b"doc"]
            # A kept recording keeps the words that it was written with; their meaning does not change within a format.
            assert recording.parent.name == "fixtures" or field.metadata[b"doc"].decode() == column.doc


def test_encodings_and_compression_are_those_of_the_text(recording: Path) -> None:
    seen: set[Encoding] = set()
    for line, file in files(recording):
        by_name = {column.name: column for column in TABLES[line["table"]].columns}
        for group in range(file.metadata.num_row_groups):
            for index in range(file.metadata.num_columns):
                chunk = file.metadata.row_group(group).column(index)
                column = by_name[chunk.path_in_schema.split(".")[0]]
                assert chunk.compression == "ZSTD"
                if column.type is Type.BOOL:
                    assert set(chunk.encodings) <= {"RLE", "PLAIN"}
                    continue
                # RLE is that of the levels, PLAIN that of a dictionary's own page.
                assert set(chunk.encodings) - {"RLE", "PLAIN"} == {column.encoding.value} - {"PLAIN"}, f"{line['path']}: {column.name}"
                seen.add(column.encoding)
    assert {Encoding.DELTA, Encoding.DICTIONARY} <= seen


def test_types_are_read_as_the_text_says(recording: Path) -> None:
    for line, file in files(recording):
        relation = duckdb.connect().read_parquet(str(recording / line["path"]))
        duck = dict(zip(relation.columns, map(str, relation.types), strict=True))
        parquet = {leaf.path.split(".")[0]: leaf for leaf in (file.schema.column(index) for index in range(len(file.schema)))}
        for column in columns_in(recording, line, file):
            arrow_name, parquet_name, duck_name, _ = READ_AS[column.type]
            assert str(file.schema_arrow.field(column.name).type) == arrow_name
            assert duck[column.name] == duck_name
            leaf = parquet[column.name]
            assert leaf.physical_type == parquet_name.removeprefix("LIST of ").split(",")[0]
            assert ("LIST" in parquet_name) == leaf.path.endswith(".list.element")
            if column.type is Type.TIMESTAMP:
                assert json.loads(leaf.logical_type.to_json())["isAdjustedToUTC"] is False
                assert "microseconds" in str(leaf.logical_type)


def test_wall_clock_times_follow_from_the_first_row_of_clock(recording: Path) -> None:
    rows = {table: [row for line, file in files(recording) if line["table"] == table for row in file.read().to_pylist()] for table in TABLES}
    clock = min(rows["clock"], key=lambda row: row["boottime_ns"])
    offset_ns = clock["realtime_ns"] - clock["boottime_ns"]
    compared = 0
    times = [(table.name, column) for table in TABLES.values() for column in table.columns if column.type is Type.TIMESTAMP]
    for name, column in times:
        source = {"ts": "ts_ns", "start_ts": "start_ns", "end_ts": "end_ns"}[column.name]
        for row in rows[name]:
            microseconds = _microseconds(row[column.name])
            assert microseconds == (None if row[source] is None else (row[source] + offset_ns) // 1_000)
            compared += 1
    assert compared > 10


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else (time - datetime(1970, 1, 1)) // timedelta(microseconds=1)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_coverage_of_a_real_recording_is_whole_and_explains_its_rows(path: Path) -> None:
    segments = lines(path)[1]
    rows = {
        table: [row for line, file in files(path) if line["table"] == table for row in file.read().to_pylist()] for table in ("coverage", "recording")
    }
    (about,) = rows["recording"]
    for table in {row["table"] for row in rows["coverage"]}:
        intervals = sorted((row for row in rows["coverage"] if row["table"] == table), key=lambda row: row["ts_ns"])
        assert intervals[0]["ts_ns"] == about["start_ns"]
        assert intervals[-1]["ts_ns"] + intervals[-1]["interval_ns"] == about["end_ns"]
        for before, after in itertools.pairwise(intervals):
            assert before["ts_ns"] + before["interval_ns"] == after["ts_ns"]
        assert sum(row["events"] for row in intervals) == sum(line["rows"] for line in segments if line["table"] == table)


def test_only_the_owner_may_read_what_is_made(made: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (made, *made.rglob("*")) if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.rglob("*") if path.is_file()} == {0o600}


def test_a_rewritten_table_replaces_its_segment_and_a_crash_leaves_what_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    rows = read_rows()
    folder = RecordingFolder(path)
    folder.write_rows(TABLES["recording"], [rows["recording"][0] | {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}])
    folder.write_rows(TABLES["recording"], rows["recording"])
    open_segment = folder.segment(TABLES["clone"])
    *_, last = map(json.loads, (path / MANIFEST).read_text().splitlines())
    assert (last["path"], last["replaces"]) == ("recording/000001.parquet", ["recording/000000.parquet"])
    # As it is while the recorder is at work: the open segment and the reserve are there, and no part of the recording.
    assert {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} == {
        MANIFEST,
        RESERVE,
        "clone/000000.parquet.tmp",
        "recording/000001.parquet",
    }
    assert [line["path"] for line in lines(path)[1]] == ["recording/000001.parquet"]
    open_segment.abandon()
    folder.close()
    assert not (path / RESERVE).exists()
