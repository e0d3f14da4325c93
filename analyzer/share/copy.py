"""Write the shared copy: a recording of its own, made beside its place, which it takes only when it is whole and was checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analyzer.beside import sync
from analyzer.manifest import Segment
from analyzer.parallel import each
from analyzer.progress import Advance
from analyzer.recording import Recording
from analyzer.share.columns import Columns
from analyzer.share.source import batches
from recorder.schema import FORMAT, MANIFEST, TABLES, Table, arrow_schema
from recorder.schema.parquet import SHARED, HashingFile, file_metadata, parquet_options

MOST_AT_ONCE = 4
"""Segments that are on their way at once take memory."""


class Copy:
    """A recording's copy under way in ``folder``. ``changed`` counts the values that were treated, by table and column."""

    def __init__(self, folder: Path, recording_id: str, recorder: str, policy: str) -> None:
        self.changed: dict[str, dict[str, int]] = {}
        self.manifest = folder / MANIFEST
        self._folder = folder
        self._recording_id, self._recorder, self._policy = recording_id, recorder, policy

    def metadata(self, table: str) -> dict[str, str]:
        """Return the key-value metadata of a file of ``table``."""
        return file_metadata(table, self._recording_id, self._recorder) | {SHARED: self._policy}

    def fill(self, recording: Recording, columns: Columns, advance: Advance) -> list[dict[str, Any]]:
        """Write all segments of tables that are known, some at once; return their lines for the manifest."""
        jobs = [(table, number, segment) for table in TABLES.values() for number, segment in enumerate(recording.tables.get(table.name, []))]
        for table in dict.fromkeys(table.name for table, _, _ in jobs):
            (self._folder / table).mkdir(0o700)
            self.changed[table] = {}
        lines = each(lambda job, advance: self._segment(recording, columns, advance, *job), jobs, advance, MOST_AT_ONCE)
        for table in self.changed:
            sync(self._folder / table)
        return lines

    def _segment(self, recording: Recording, columns: Columns, advance: Advance, table: Table, number: int, segment: Segment) -> dict[str, Any]:
        name, rows, times = f"{number:06}.parquet", 0, []
        changed: dict[str, int] = {}
        fd = os.open(self._folder / table.name / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            file = HashingFile(fd)
            writer = pq.ParquetWriter(file, arrow_schema(table), **parquet_options(table))
            try:
                for part in batches(recording, segment, table):
                    made = columns.table(table, part, changed)
                    writer.write_table(made)
                    rows += made.num_rows
                    advance(segment.bytes * made.num_rows // max(segment.rows, 1))
                    times += _span_ns(table, made)
                writer.add_key_value_metadata(self.metadata(table.name))
                writer.close()
            except BaseException:
                file.abandoned = True
                raise
            os.fsync(fd)
        finally:
            os.close(fd)
        counts = self.changed[table.name]
        for column, count in changed.items():
            counts[column] = counts.get(column, 0) + count
        return file.entry(table.name, name, rows, (min(times), max(times)) if times else None)

    def enter(self, about: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        """Write the manifest, which says ``about`` the sharing what was done."""
        header = {"bpftape_format": FORMAT, "recording_id": self._recording_id, "recorder": self._recorder, "shared": about}
        write_manifest(self._folder, [header, *lines])


def write_manifest(folder: Path, lines: Iterable[dict[str, Any]]) -> Path:
    """Write a manifest into ``folder``, durably, and return its path."""
    path = folder / MANIFEST
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync(folder)
    return path


def _span_ns(table: Table, rows: pa.Table) -> list[int]:
    if table.time is None or not rows.num_rows:
        return []
    span = pc.min_max(rows[table.time]).as_py()
    return [span["min"], span["max"]]
