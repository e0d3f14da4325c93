"""Hold one segment against what the manifest says of it, and say what can still be read of one that was changed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from analyzer.errors import AnalyzerError
from analyzer.manifest import damaged
from analyzer.parquet import open_parquet
from analyzer.progress import Advance
from recorder.schema import FORMAT, TABLES, Table, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from analyzer.manifest import Segment
    from analyzer.store import Store

FACTS = ("recording", "clock", "coverage")
"""Tables that tell of the recording itself: what is said of it rests on their values."""

_BLOCK_BYTES = 1 << 20
# What a file claims to have is no reason to make room for it: values are decoded so many rows at a time.
_BATCH_ROWS = 131_072


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one segment. ``faults`` is empty where it is what was written, and what the manifest says.

    ``truth`` is the segment as it is, where its checksum is right and all that is wrong is what the manifest says of it. ``rows`` are those that can
    be decoded: of a sound segment all, of a damaged one what is left, and then any value of it may be another one than was written. ``spans_ns`` has
    the least and greatest time of each row group, in the order of the file.
    """

    faults: tuple[str, ...]
    rows: int
    spans_ns: tuple[tuple[int, int], ...] = ()
    truth: Segment | None = None

    @property
    def is_broken(self) -> bool:
        """Say whether the file is not what was written, or none of this recording."""
        return bool(self.faults) and self.truth is None


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

    Rows are counted from the file's footer, which the checksum covers; times are decoded, and with ``decode`` every value is decoded, too, and in
    tables that tell of the recording always.
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
        if changed:
            fault = "is not what was written: its checksum is another one" if segment.sha256 else "has no checksum in the manifest"
            fault = _other_size(size, segment) or fault
            return Checked((fault,), _decodable(file, segment.rows))
        return _check_content(file, size, segment, recording_id, decode)


def _other_size(size: int, segment: Segment) -> str:
    return f"has {size:,} bytes where the manifest says {segment.bytes:,}" if size != segment.bytes else ""


def _reason(error: AnalyzerError, segment: Segment) -> str:
    """Return the end of a store's message, which names the file once more."""
    message = error.message.rstrip(".")
    return message.partition(f"{segment.name} ")[2] or message.partition(": ")[2] or message


def _check_content(file: io.RawIOBase, size: int, segment: Segment, recording_id: str, decode: bool) -> Checked:
    try:
        with open_parquet(file) as parquet:
            faults = [*identity_faults(parquet, segment.table, recording_id), *column_faults(parquet, segment.table)]
            rows, spans = parquet.metadata.num_rows, _spans(parquet, TABLES.get(segment.table))
            if (decode or segment.table in FACTS) and not faults and (decoded := decode_rows(parquet, TABLES.get(segment.table))) != rows:
                faults.append(f"has {rows - decoded:,} rows that cannot be decoded, or lack a value that each row has")
            if faults:
                return Checked(tuple(faults), decode_rows(parquet), spans)
            lies = _lies(segment, size, rows, spans)
            return Checked(tuple(lies), rows, spans, _truth(segment, size, rows, spans) if lies else None)
    except unreadable() as error:
        return Checked((f"is no Parquet file that can be read: {_first_line(error)}",), 0)


def _lies(segment: Segment, size: int, rows: int, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Return what the manifest says of a file that is what was written, and is not so."""
    lies = [_other_size(size, segment)] if size != segment.bytes else []
    if rows != segment.rows:
        lies.append(f"has {rows:,} rows where the manifest says {segment.rows:,}")
    if segment.table in TABLES and _whole(spans) != (segment.first_ts_ns, segment.last_ts_ns):
        lies.append("has other times than the manifest says")
    return lies


def _truth(segment: Segment, size: int, rows: int, spans: Sequence[tuple[int, int]]) -> Segment:
    first_ns, last_ns = _whole(spans) if segment.table in TABLES else (segment.first_ts_ns, segment.last_ts_ns)
    return replace(segment, rows=rows, bytes=size, first_ts_ns=first_ns, last_ts_ns=last_ns)


def _whole(spans: Sequence[tuple[int, int]]) -> tuple[int, int] | tuple[None, None]:
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else (None, None)


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


def _spans(parquet: pq.ParquetFile, table: Table | None) -> tuple[tuple[int, int], ...]:
    """Return the least and greatest time of each row group that has rows.

    From the rows: where statistics in a footer are of a wrong length or type, pyarrow (26.0) ends the process when it is asked for them.
    """
    if table is None or table.time is None or table.time not in parquet.schema_arrow.names:
        return ()
    import pyarrow.compute as pc

    spans = []
    for group in range(parquet.num_row_groups):
        batches = parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[table.time], use_threads=False)
        found = [pc.min_max(batch.column(0)).as_py() for batch in batches if batch.num_rows]
        if found:
            spans.append((min(each["min"] for each in found), max(each["max"] for each in found)))
    return tuple(spans)


def _decodable(file: io.RawIOBase, most: int) -> int:
    """Return how many rows of a changed file can still be decoded."""
    try:
        file.seek(0)
        with open_parquet(file) as parquet:
            return min(decode_rows(parquet), max(most, 0))
    except unreadable():
        return 0


def decode_rows(parquet: pq.ParquetFile, table: Table | None = None) -> int:
    """Decode every value, row group by row group; return the rows of those where that went well, and no value that ``table`` asks for is NULL."""
    rows = 0
    for group in range(parquet.num_row_groups):
        try:
            rows += sum(_batch_rows(batch, table) for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False))
        except unreadable():
            continue
    return rows


def _batch_rows(batch: pa.RecordBatch, table: Table | None) -> int:
    batch.validate(full=True)
    required = [column.name for column in table.columns if not column.nullable] if table else []
    if any(batch.column(name).null_count for name in required):
        raise ValueError("NULL where there is none")
    return int(batch.num_rows)


def _without_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return times as numbers of us: Python's own times do not reach as far."""
    import pyarrow as pa

    for place, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            batch = batch.set_column(place, field.name, batch.column(place).cast(pa.int64()))
    return batch


def rows_of(store: Store, segment: Segment, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return these columns of a segment of one of :data:`FACTS`, None for those that it does not have; timestamps are numbers of us.

    Raises AnalyzerError (65) where the file is not what its table is, however right its checksum.
    """
    try:
        with store.open(segment.name) as file, open_parquet(file) as parquet:
            if faults := column_faults(parquet, segment.table):
                raise ValueError(faults[0])
            present = [name for name in names if name in parquet.schema_arrow.names]
            rows: list[dict[str, Any]] = []
            for batch in parquet.iter_batches(_BATCH_ROWS, use_threads=False):
                _batch_rows(batch, TABLES[segment.table])
                rows += [dict.fromkeys(names) | row for row in _without_times(batch.select(present)).to_pylist()]
            return rows
    except unreadable():
        raise damaged(store.shown, f"{segment.name} cannot be read") from None


def unreadable(*others: type[BaseException]) -> tuple[type[BaseException], ...]:
    """Return what pyarrow raises for a file that it cannot make sense of, and ``others``."""
    import pyarrow as pa

    # RuntimeError is what Cython makes of a C++ exception that has no other name, such as that for statistics of another type than their column;
    # LookupError comes of a column that is there twice.
    return *others, pa.ArrowException, OSError, ValueError, TypeError, OverflowError, LookupError, MemoryError, RuntimeError


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")[:200]
