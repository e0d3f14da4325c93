"""Rows that lie: what a recording's own tables (``recording``, ``clock``, ``coverage``) say of it, as JSON, written as the Parquet that they are."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer import listing, verify_text
from analyzer.recording import open_recording, open_store
from analyzer.verify import verify
from recorder import recover_text
from recorder.recover import recover
from recorder.schema import MANIFEST, TABLES, Type, arrow_schema
from recorder.schema.parquet import file_metadata
from tests.fuzz.odd_json import mutate_json
from tests.fuzz.target import Target, scratch
from tests.rows import RECORDING_ID, read_rows, write_recording

PLACE = scratch()
NAMES = ("recording", "clock", "coverage")
# What belongs to no recorder's own tables is there to be counted.
ROWS = {name: read_rows()[name] for name in (*NAMES, "exec")}
EPOCH = datetime(1970, 1, 1)
_CLASSES: dict[Type, type] = {Type.BOOL: bool, Type.INT32: int, Type.INT64: int, Type.STRING: str, Type.CATEGORY: str, Type.STRINGS: list}


def as_json() -> bytes:
    """Return the rows of the tables as they are: times in us."""
    kept = {name: ROWS[name][:12] for name in NAMES}
    return json.dumps(kept, default=lambda when: (when - EPOCH) // timedelta(microseconds=1)).encode()


def fitting(kind: Type, value: Any) -> Any:
    """Return ``value`` where a column of that type can hold it, and else NULL."""
    if kind is Type.TIMESTAMP:
        return value if type(value) is int and abs(value) < 1 << 62 else None
    if type(value) is not _CLASSES[kind]:
        return None
    if isinstance(value, int):
        bits = 31 if kind is Type.INT32 else 63
        return max(-(1 << bits), min(value, (1 << bits) - 1))
    if isinstance(value, list):
        return [str(item).encode(errors="replace").decode() for item in value]
    if kind is Type.BOOL:
        return value
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def write(folder: Path, name: str, rows: list[Any]) -> dict[str, Any]:
    """Write rows that may lack any value, and return the manifest's line, which is true."""
    table = TABLES[name]
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(table)], file_metadata(name, RECORDING_ID.hex, "fuzzer"))
    columns = [
        pa.array([fitting(column.type, row.get(column.name)) if isinstance(row, dict) else None for row in rows], schema.field(column.name).type)
        for column in table.columns
    ]
    path = folder / name / "000000.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)
    data = path.read_bytes()
    times = [time for time in (columns[[column.name for column in table.columns].index(table.time)] if table.time else []) if time.is_valid]
    span = (min(time.as_py() for time in times), max(time.as_py() for time in times)) if times else (None, None)
    line = {"path": f"{name}/000000.parquet", "table": name, "rows": len(rows), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return line | {"first_ts_ns": span[0], "last_ts_ns": span[1]}


SOUND = write_recording(PLACE / "sound.bpftape", ROWS)
LINES = [line for line in (SOUND / MANIFEST).read_text().splitlines() if not any(f'"{name}/' in line for name in NAMES)]


def tables(data: bytes) -> dict[str, list[Any]]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    found = said if isinstance(said, dict) else {}
    return {name: rows[:500] for name in NAMES if isinstance(rows := found.get(name), list)}


def written(data: bytes) -> Path:
    """Write the recording that ``data`` tells of."""
    folder = PLACE / "fuzzed.bpftape"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOUND, folder, ignore=shutil.ignore_patterns(*NAMES))
    lines = [*LINES, *(json.dumps(write(folder, name, rows)) for name, rows in tables(data).items())]
    (folder / MANIFEST).write_text("".join(f"{line}\n" for line in lines))
    return folder


def run(data: bytes) -> None:
    folder = written(data)
    found = verify(open_store(folder))
    verify_text.as_text(found)
    verify_text.hint(found)
    json.dumps(verify_text.as_json(found))
    listed = listing.list_folder(PLACE)
    listing.as_text(listed, 80)
    json.dumps(listing.as_json(listed))
    done = recover(folder)
    recover_text.as_text(done)
    json.dumps(recover_text.as_json(done))
    open_recording(folder)
    recover(folder)


TARGET = Target(run, lambda: [as_json()], mutate=mutate_json, examples=20, longest=60_000)
