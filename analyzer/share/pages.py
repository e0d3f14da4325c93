"""The pages of a Parquet file as they are: each header's bytes, and what is behind it, decompressed.

Arrow shows values, not bytes. A value that no row refers to, in a dictionary or a page's statistics, would be handed out and never be seen.
So this follows the file's own structure: the format's `parquet.thrift`, in Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa
import pyarrow.parquet as pq

_FIELD_TYPE, _FIELD_UNCOMPRESSED, _FIELD_COMPRESSED = 1, 2, 3
_DATA_HEADER, _DICTIONARY_HEADER, _DATA_HEADER_V2 = 5, 7, 8
_ENCODING = {_DATA_HEADER: 2, _DICTIONARY_HEADER: 2, _DATA_HEADER_V2: 4}
_LEVELS_V2 = (5, 6)  # lengths of the levels of a page of version 2, which are not compressed
_IS_COMPRESSED_V2 = 7
_DICTIONARY_PAGE = 2
PLAIN, PLAIN_DICTIONARY, RLE_DICTIONARY = 0, 2, 8
_LONGEST_HEADER = 1 << 20


class _Type(IntEnum):
    """Types of Thrift's compact protocol."""

    STOP, TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its column by its path, its header as it is, and its content decompressed.

    ``is_text`` says that text stands in the content, and not numbers of a dictionary's entries.
    """

    column: str
    header: bytes
    content: bytes
    is_text: bool


class _Compact:
    """Reads structs of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _value(self, kind: int) -> object:
        match kind:
            case _Type.TRUE | _Type.FALSE:
                return int(kind == _Type.TRUE)
            case _Type.I8:
                self.at += 1
                return self.data[self.at - 1]
            case _Type.I16 | _Type.I32 | _Type.I64:
                return self._integer()
            case _Type.DOUBLE:
                self.at += 8
                return None
            case _Type.BINARY:
                size = self._varint()
                self.at += size
                return self.data[self.at - size : self.at]
            case _Type.LIST | _Type.SET:
                return self._list()
            case _Type.STRUCT:
                return self.struct()
        raise ValueError(f"Thrift type {kind} is in no page header")

    def _list(self) -> list[object]:
        byte = self.data[self.at]
        self.at += 1
        size = byte >> 4 if byte >> 4 != 15 else self._varint()
        return [self._value(byte & 0x0F) for _ in range(size)]

    def struct(self) -> dict[int, object]:
        """Return the fields of the next struct by their ids."""
        fields: dict[int, object] = {}
        number = 0
        while (byte := self.data[self.at]) != _Type.STOP:
            self.at += 1
            number = number + (byte >> 4) if byte >> 4 else self._integer()
            fields[number] = self._value(byte & 0x0F)
        self.at += 1
        return fields


def pages(file: pq.ParquetFile, data: memoryview) -> Iterator[Page]:
    """Yield all pages of the columns of text in a file whose bytes are ``data``; raise ValueError where they are no pages."""
    for group in range(file.metadata.num_row_groups):
        row_group = file.metadata.row_group(group)
        for number in range(row_group.num_columns):
            chunk = row_group.column(number)
            if chunk.physical_type == "BYTE_ARRAY":
                yield from _chunk(chunk, data)


def _chunk(chunk: pq.ColumnChunkMetaData, data: memoryview) -> Iterator[Page]:
    begins = [offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset]
    at, end = min(begins), min(begins) + chunk.total_compressed_size
    while at < end:
        try:
            reader = _Compact(bytes(data[at : min(at + _LONGEST_HEADER, end)]))
            header = reader.struct()
            page = _page(chunk, header, reader.data[: reader.at], data[at + reader.at : end])
        except (LookupError, StopIteration, TypeError, ValueError, pa.ArrowException, OSError) as error:
            raise ValueError(f"no page of {chunk.path_in_schema} at byte {at}: {error}") from None
        yield page
        at += reader.at + _number(header[_FIELD_COMPRESSED])


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is no size")
    return value


def _page(chunk: pq.ColumnChunkMetaData, header: dict[int, object], raw: bytes, rest: memoryview) -> Page:
    packed = bytes(rest[: _number(header[_FIELD_COMPRESSED])])
    size = _number(header[_FIELD_UNCOMPRESSED])
    kind = next(number for number in _ENCODING if number in header)
    details = header[kind]
    assert isinstance(details, dict)
    levels = sum(_number(details[number]) for number in _LEVELS_V2) if kind == _DATA_HEADER_V2 else 0
    is_packed = chunk.compression != "UNCOMPRESSED" and (kind != _DATA_HEADER_V2 or details.get(_IS_COMPRESSED_V2, 1))
    if is_packed and size > levels:
        content = packed[:levels] + bytes(pa.Codec(chunk.compression.lower()).decompress(packed[levels:], size - levels))
    else:
        content = packed
    is_text = header[_FIELD_TYPE] == _DICTIONARY_PAGE or details[_ENCODING[kind]] not in (PLAIN_DICTIONARY, RLE_DICTIONARY)
    return Page(chunk.path_in_schema, raw, content, is_text)
