"""Recordings from hand-written rows: the CSV files of fixtures/rows/ go through the recorder's own writer."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from recorder.folder import RecordingFolder
from recorder.schema import TABLES, TASK, Table, Type
from tests.support import REPO

Row = dict[str, Any]
Rows = dict[str, list[Row]]

RECORDING_ID = uuid.UUID("5eed0000000000000000000000000001")

# What is the same in every row is left out of the CSV files.
_DEFAULTS: Row = {
    "uid": 0,
    "cgroup_id": 1,
    "pid_ns": 4026531836,
    "net_ns": 4026531840,
    "pid_ns_level": 0,
    "filename_truncated": False,
    "is_fastopen": False,
    "is_mptcp": False,
}

_CONVERT: dict[Type, Callable[[str], Any]] = {
    Type.BOOL: {"true": True, "false": False}.__getitem__,
    Type.INT32: int,
    Type.INT64: int,
    Type.STRINGS: json.loads,
}


def read_rows(folder: Path = REPO / "fixtures" / "rows") -> Rows:
    """Return the rows of all tables. Empty fields are NULL, lists are JSON, a text with a backslash is escaped as in JSON.

    ``ts``, ``start_ts`` and ``end_ts`` are not in the files: they follow from the times in ns and the first row of clock, as in the recorder.
    """
    rows = {path.stem: _read(path, TABLES[path.stem]) for path in sorted(folder.glob("*.csv"))}
    clock = rows["clock"][0]
    offset_ns = clock["realtime_ns"] - clock["boottime_ns"]
    for row in (row for table in rows.values() for row in table):
        for name in ("ts", "start_ts", "end_ts"):
            if name in row:
                boottime_ns = row[name + "_ns"] if name == "ts" else row[name.replace("_ts", "_ns")]
                row[name] = None if boottime_ns is None else wall_clock(boottime_ns + offset_ns)
    return rows


def wall_clock(realtime_ns: int) -> datetime:
    """Return a time of CLOCK_REALTIME as a recording has it: UTC, without a zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=realtime_ns // 1000)).replace(tzinfo=None)


def _read(path: Path, table: Table) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return [_row(table, fields) for fields in csv.DictReader(file)]


def _row(table: Table, fields: Mapping[str, str]) -> Row:
    row: Row = {}
    for column in table.columns:
        text = fields.get(column.name, "")
        if text == "":
            row[column.name] = _DEFAULTS.get(column.name)
        elif column.type in _CONVERT:
            row[column.name] = _CONVERT[column.type](text)
        else:
            row[column.name] = json.loads(f'"{text}"') if "\\" in text else text
    if "pid" in row and row["pid"] is None:  # nobody known: the socket's net namespace is all that is left of a task's columns
        row |= dict.fromkeys(column.name for column in TASK if column.name != "net_ns")
    return row


def write_recording(path: Path, rows: Mapping[str, Sequence[Row]], recording_id: uuid.UUID = RECORDING_ID, segments: int = 1) -> Path:
    """Write ``rows`` as a recording at ``path`` and return that; each table goes into up to ``segments`` files, those without rows into none."""
    with mock.patch("uuid.uuid4", return_value=recording_id):
        folder = RecordingFolder(path)
    for name, table_rows in rows.items():
        count = 1 if TABLES[name].rewritten else segments
        for number in range(count):
            if part := table_rows[number * len(table_rows) // count : (number + 1) * len(table_rows) // count]:
                folder.write_rows(TABLES[name], part)
    folder.close()
    return path
