"""Read a recording's tables a row group at a time, whatever size they have, with text as dictionaries of distinct values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.errors import AnalyzerError
from analyzer.manifest import Segment
from analyzer.manifest import damaged as damage
from analyzer.parquet import open_parquet
from analyzer.recording import Recording
from analyzer.segment_check import unreadable
from recorder.schema import Column, Table, arrow_schema

# A row group with more rows or bytes than the recorder writes is read in parts.
_BATCH_ROWS = 131_072
_WHOLE_ROWS = 262_144
_WHOLE_BYTES = 64 << 20


def damaged(recording: Recording, segment: Segment, what: str) -> AnalyzerError:
    """Return the error for a file that is not what the manifest says."""
    return damage(recording.store.shown, f"{segment.name}: {what}")


def total_bytes(recording: Recording) -> int:
    """Return the size of a recording's segments."""
    return sum(segment.bytes for segments in recording.tables.values() for segment in segments)


def segments_of(recordings: Sequence[Recording]) -> list[tuple[Recording, Segment]]:
    """Return all segments of recordings."""
    return [(recording, segment) for recording in recordings for segments in recording.tables.values() for segment in segments]


def batches(recording: Recording, segment: Segment, table: Table, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a segment: the columns of ``table`` that it has, or of these ``names``; what others it has is left out.

    Raises AnalyzerError (65) for a file that is damaged, or has other rows than the manifest says.
    """
    rows = 0
    with _reading(recording, segment) as file:
        has = [column.name for column in _agreed(recording, segment, table, file.schema_arrow)]
        wanted = has if names is None else [name for name in has if name in names]
        for part in _parts(file, wanted):
            part.validate(full=True)  # a stranger's file may have text that is none, or point out of its dictionaries
            rows += part.num_rows
            yield part
    if wanted and rows != segment.rows:
        raise damaged(recording, segment, f"it has {rows:,} rows where the manifest says {segment.rows:,}")


class _reading:
    """Opens a segment; what goes wrong in it is the file's fault."""

    def __init__(self, recording: Recording, segment: Segment) -> None:
        self._recording, self._segment = recording, segment
        self._file: pq.ParquetFile | None = None

    def __enter__(self) -> pq.ParquetFile:
        opened = self._recording.store.open(self._segment.name)
        try:
            schema = pq.read_schema(opened)
            opened.seek(0)
            texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if _plain(kind) in (pa.string(), pa.list_(pa.string()))]
            leaves = [f"{name}.list.element" if _plain(schema.field(name).type) == pa.list_(pa.string()) else name for name in texts]
            self._file = open_parquet(opened, leaves)
        except unreadable() as error:
            opened.close()
            raise self._fault(error) from None
        return self._file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._file:
            self._file.close(force=True)
        if isinstance(error, unreadable()):
            raise self._fault(error) from None

    def _fault(self, error: BaseException) -> AnalyzerError:
        words = str(error).split("\n")[0].strip().rstrip(".") or type(error).__name__
        return damaged(self._recording, self._segment, words)


def _parts(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[pa.Table]:
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        if group.num_rows <= _WHOLE_ROWS and group.total_byte_size <= _WHOLE_BYTES:
            yield file.read_row_group(number, columns=list(names), use_threads=False)
        else:
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=list(names), use_threads=False):
                yield pa.Table.from_batches([batch])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type as the schema of a file says it that was not asked for dictionaries."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _agreed(recording: Recording, segment: Segment, table: Table, schema: pa.Schema) -> list[Column]:
    found, wrong = [], []
    for column, declared in zip(table.columns, arrow_schema(table), strict=True):
        if schema.get_all_field_indices(column.name) and _plain(schema.field(column.name).type) == _plain(declared.type):
            found.append(column)
        elif schema.get_all_field_indices(column.name) or not column.nullable:
            wrong.append(column.name)
    if wrong:
        raise damaged(recording, segment, f"it has a wrong column, or misses one: {', '.join(wrong)}")
    return found


def texts(array: pa.ChunkedArray) -> Iterator[list[str]]:
    """Yield the distinct texts of a column of text or of lists of it, some of them more than once."""
    for chunk in array.chunks:
        values = chunk.flatten() if pa.types.is_list(chunk.type) else chunk
        yield [text for text in dictionary_of(values).dictionary.to_pylist() if text is not None]


def joined(values: Sequence[str]) -> bytes:
    """Return texts as bytes, with a NUL between them."""
    return "\0".join(values).encode("utf-8", "surrogatepass")


def dictionary_of(values: pa.Array) -> pa.DictionaryArray:
    """Return an array of text as a dictionary array."""
    return values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
