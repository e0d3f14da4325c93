"""Hold one segment against what the manifest says of it, and say what can still be read of one that was changed."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError
from analyzer.progress import Advance
from recorder.schema import FORMAT, TABLES, Table, arrow_schema

if TYPE_CHECKING:
    import pyarrow.parquet as pq

    from analyzer.manifest import Segment
    from analyzer.store import Store

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one segment. ``faults`` is empty where it is what was written.

    ``rows`` are those that can be decoded: of a sound segment all, of a damaged one what is left, and then any value of it may be another one than
    was written. ``spans_ns`` is the least and greatest time of each row group, in the order of the file.
    """

    faults: tuple[str, ...]
    rows: int
    spans_ns: tuple[tuple[int, int], ...] = ()


def digest(file: io.RawIOBase, advance: Advance) -> str:
    """Return the SHA-256 of what ``file`` still has; ``advance`` is told of each block."""
    sha256, block = hashlib.sha256(), bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    while count := file.readinto(block):
        sha256.update(view[:count])
        advance(count)
    return sha256.hexdigest()


def check_segment(store: Store, segment: Segment, recording_id: str, advance: Advance, decode: bool = False) -> Checked:
    """Read a whole segment: its size, its checksum, what it says that it is, its columns, rows and times.

    Rows are counted, and times taken, from the file's footer, which the checksum covers; with ``decode`` every value is decoded, too.
    """
    try:
        file = store.open(segment.name)
    except AnalyzerError as error:
        return Checked((_reason(error, segment),), 0)
    with file:
        try:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            changed = digest(file, advance) != segment.sha256
        except OSError as error:
            return Checked((f"cannot be read: {error.strerror}",), 0)
        if size != segment.bytes:
            return Checked((f"has {size:,} bytes where {segment.bytes:,} were written",), _decodable(file, segment.rows))
        if changed:
            fault = "is not what was written: its checksum is another one" if segment.sha256 else "has no checksum in the manifest"
            return Checked((fault,), _decodable(file, segment.rows))
        return _check_content(file, segment, recording_id, decode)


def _reason(error: AnalyzerError, segment: Segment) -> str:
    """Return the end of a store's message, which names the file once more."""
    message = error.message.rstrip(".")
    return message.partition(f"{segment.name} ")[2] or message.partition(": ")[2] or message


def _check_content(file: io.RawIOBase, segment: Segment, recording_id: str, decode: bool) -> Checked:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            faults = [*identity_faults(parquet, segment.table, recording_id), *column_faults(parquet, segment.table)]
            rows = parquet.metadata.num_rows
            if rows != segment.rows:
                faults.append(f"has {rows:,} rows where {segment.rows:,} were written")
            spans = _spans(parquet, TABLES.get(segment.table), decode)
            if segment.table in TABLES and not faults:
                whole = (min(first for first, _ in spans), max(last for _, last in spans)) if spans else (None, None)
                if whole != (segment.first_ts_ns, segment.last_ts_ns):
                    faults.append("has other times than the manifest says")
            if decode and (decoded := decode_rows(parquet)) != rows:
                faults.append(f"has {rows - decoded:,} rows that cannot be decoded")
            return Checked(tuple(faults), rows if not faults else decode_rows(parquet), spans)
    except unreadable() as error:
        return Checked((f"is no Parquet file that can be read: {_first_line(error)}",), 0)


def identity_faults(parquet: pq.ParquetFile, table: str, recording_id: str) -> list[str]:
    """Return what is wrong with what a file says of itself: its format, its table, its recording."""
    said = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (parquet.metadata.metadata or {}).items()}
    version = said.get("bpftape.format", "")
    faults = []
    if not version.isdecimal() or not 1 <= int(version) <= FORMAT:
        faults.append(f"is of format {version or 'unknown'}")
    if said.get("bpftape.table") != table:
        faults.append(f"is of the table {said.get('bpftape.table', 'unknown')}")
    if said.get("bpftape.recording_id") != recording_id:
        faults.append("is of another recording")
    return faults


def column_faults(parquet: pq.ParquetFile, table: str) -> list[str]:
    """Return what is wrong with a file's columns; of a table that this analyzer does not know nothing can be said."""
    if table not in TABLES:
        return []
    found, wanted = parquet.schema_arrow, arrow_schema(TABLES[table])
    wrong = [
        field.name
        for field in wanted
        if (field.type != found.field(field.name).type if found.names.count(field.name) == 1 else field.name in found.names or not field.nullable)
    ]
    return [f"has wrong or missing columns: {', '.join(wrong)}"] if wrong else []


def _spans(parquet: pq.ParquetFile, table: Table | None, decode: bool) -> tuple[tuple[int, int], ...]:
    """Return the least and greatest time of each row group: from its statistics, or from its rows where it has none."""
    if table is None or table.time is None or table.time not in parquet.schema_arrow.names:
        return ()
    import pyarrow.compute as pc

    index = [parquet.schema.column(leaf).path for leaf in range(len(parquet.schema))].index(table.time)
    spans = []
    for group in range(parquet.num_row_groups):
        statistics = parquet.metadata.row_group(group).column(index).statistics
        if statistics is not None and statistics.has_min_max and not decode:
            spans.append((int(statistics.min), int(statistics.max)))
        elif parquet.metadata.row_group(group).num_rows:
            found = pc.min_max(parquet.read_row_group(group, columns=[table.time], use_threads=False)[table.time])
            spans.append((found["min"].as_py(), found["max"].as_py()))
    return tuple(spans)


def _decodable(file: io.RawIOBase, most: int) -> int:
    """Return how many rows of a changed file can still be decoded."""
    import pyarrow.parquet as pq

    try:
        file.seek(0)
        with pq.ParquetFile(file) as parquet:
            return min(decode_rows(parquet), max(most, 0))
    except unreadable():
        return 0


def decode_rows(parquet: pq.ParquetFile) -> int:
    """Decode every value, row group by row group; return the rows of those where that went well."""
    rows = 0
    for group in range(parquet.num_row_groups):
        try:
            read = parquet.read_row_group(group, use_threads=False)
            read.validate(full=True)
            rows += read.num_rows
        except unreadable():
            continue
    return rows


def unreadable(*others: type[BaseException]) -> tuple[type[BaseException], ...]:
    """Return what pyarrow raises for a file that it cannot make sense of, and ``others``."""
    import pyarrow as pa

    return *others, pa.ArrowException, OSError, ValueError, TypeError, OverflowError, MemoryError


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")[:200]
