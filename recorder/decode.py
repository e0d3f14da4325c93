"""From raw ring bytes to Arrow: whole columns at a time, never a Python object per event."""

from __future__ import annotations

import ctypes
import ipaddress
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recorder.compiled import Layout
from recorder.ring import HEADER_BYTES
from recorder.schema import Table, Type, arrow_schema

Block = npt.NDArray[np.void]
Word = Callable[[bytes], str | None]


@dataclass(frozen=True, slots=True)
class Coded:
    """A dictionary column: what ``word`` makes of the bytes of ``field``, once for each distinct value; None is NULL."""

    field: str
    word: Word


Derive = Callable[[Block], pa.Array] | Coded

ROW_GROUP_ROWS = 131_072
# Arguments of programs are long: a row group ends with so many bytes of columns that are no plain numbers, too.
ROW_GROUP_BYTES = 16 << 20
# Rows copied per step: the records and the columns they go to stay in the CPU's second-level cache.
_STEP_ROWS = 8_192

_BUFFER_TYPES: dict[Type, npt.DTypeLike] = {Type.BOOL: np.bool_, Type.INT32: np.int32, Type.INT64: np.int64}


def record_dtype(record: Layout | type[ctypes.Structure]) -> np.dtype[np.void]:
    """Return the numpy type of a ring's records, 8-byte header included, from the C struct's layout or ctypes class.

    ``char`` arrays become byte strings (``S16``), other arrays stay arrays.
    """
    plain = cast("np.dtype[np.void]", np.dtype(cast("Any", record)))
    names, formats, offsets = ["_header"], [np.dtype(np.uint64)], [0]
    assert plain.names
    assert plain.fields
    for name in plain.names:
        field, offset = plain.fields[name][:2]
        if field.subdtype and field.subdtype[0] == np.dtype("S1"):
            field = np.dtype(f"S{field.itemsize}")
        names.append(name)
        formats.append(field)
        offsets.append(offset + HEADER_BYTES)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": plain.itemsize + HEADER_BYTES})


def utf8(data: bytes) -> bytes:
    """Return ``data`` as valid UTF-8, invalid parts replaced; NUL bytes keep their number and order."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data


def string_lists(data: npt.NDArray[np.uint8], sizes: npt.NDArray[np.uint32], present: npt.NDArray[np.bool_]) -> pa.ListArray:
    """Split ``data`` (rows by bytes) at its NULs: row k's first ``sizes[k]`` bytes become a list of strings, NULL unless ``present[k]``.

    A last string without its NUL (cut off) is kept.
    """
    rows, width = data.shape
    sizes = np.minimum(sizes, np.uint32(width))
    padded = np.zeros((rows, width + 1), np.uint8)
    padded[:, :width] = data
    columns = np.arange(width + 1, dtype=np.uint32)
    last = padded[np.arange(rows), np.maximum(sizes, 1) - 1]
    unended = (sizes > 0) & (last != 0)
    padded[np.arange(rows), sizes] = 0
    kept = padded[columns < (sizes + unended)[:, None]]
    text = np.frombuffer(utf8(kept.tobytes()), np.uint8)
    ends = np.flatnonzero(text == 0)
    offsets = np.concatenate(([0], ends - np.arange(len(ends)))).astype(np.int32)
    values = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text[text != 0].tobytes()))
    row_ends = np.cumsum(sizes + unended)
    list_ends = np.searchsorted(np.flatnonzero(kept == 0), row_ends, side="left")
    list_offsets = np.concatenate(([0], list_ends)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(list_offsets), values, mask=pa.array(~present))


def strings(data: npt.NDArray[np.uint8], sizes: npt.NDArray[np.uint32]) -> pa.StringArray:
    """Return row k's first ``sizes[k]`` bytes of ``data`` (rows by bytes) as a string, up to a NUL among them."""
    sizes = np.minimum(sizes, np.where((data == 0).any(axis=1), (data == 0).argmax(axis=1), data.shape[1])).astype(np.uint32)
    lists = string_lists(data, sizes, np.ones(len(data), np.bool_))
    # One string a row, but for rows of no bytes at all: those have none, and become "".
    flat = lists.flatten()
    counts = np.diff(np.asarray(lists.offsets))
    if (counts == 1).all():
        return flat
    return pa.array(flat).take(pa.array(np.maximum(np.cumsum(counts) - 1, 0), mask=counts == 0)).fill_null("")


def text(data: bytes) -> str:
    """Return what stands before the first NUL of ``data`` as text."""
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")


def known_text(data: bytes) -> str | None:
    """Return as :func:`text` does, or None where there is none."""
    return text(data) or None


def address(data: bytes) -> str:
    """Return the canonical text of 16 bytes of IPv6 address, of IPv4 where they map one."""
    ip = ipaddress.IPv6Address(data)
    return str(ip.ipv4_mapped or ip)


def known_address(data: bytes) -> str | None:
    """Return as :func:`address` does, or None for the unspecified one."""
    ip = ipaddress.IPv6Address(data)
    return None if (ip.ipv4_mapped or ip).is_unspecified else str(ip.ipv4_mapped or ip)


def scope(data: bytes) -> str | None:
    """Return what an IP address is: loopback, private, link_local, multicast or global; None for the unspecified one.

    Private is all that the IANA registries of special-purpose addresses do not call globally reachable, as Python's ipaddress has them.
    """
    mapped = ipaddress.IPv6Address(data)
    ip = mapped.ipv4_mapped or mapped
    if ip.is_unspecified:
        return None
    of_kind = {"loopback": ip.is_loopback, "link_local": ip.is_link_local, "multicast": ip.is_multicast, "global": ip.is_global}
    return next((name for name, is_it in of_kind.items() if is_it), "private")


def numbered(words: Sequence[str | None]) -> Word:
    """Return the function of :class:`Coded` for a field whose number k stands for ``words[k]``."""

    def word(data: bytes) -> str | None:
        number = int.from_bytes(data, sys.byteorder)
        return words[number] if number < len(words) else str(number)

    return word


def category(data: npt.NDArray[np.generic], word: Word) -> pa.DictionaryArray:
    """Return byte strings (``S``), or rows of bytes, as a dictionary of what ``word`` makes of them; each distinct value is decoded once."""
    width = data.dtype.itemsize if data.ndim == 1 else data.shape[1]
    raw = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(data), [None, pa.py_buffer(np.ascontiguousarray(data))])
    encoded = raw.dictionary_encode()
    words = [word(value.as_py()) for value in encoded.dictionary]
    # Two byte strings may read the same (bytes behind the NUL): Arrow wants the words of a dictionary distinct, and none of them NULL.
    distinct = [word for word in dict.fromkeys(words) if word is not None]
    indices = encoded.indices
    if len(distinct) < len(words):
        place = {word: index for index, word in enumerate(distinct)} | {None: -1}
        places = np.array([place[word] for word in words], np.int32)[indices.to_numpy()]
        indices = pa.array(places, mask=places < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(distinct, pa.string()))


class Decoder:
    """Gathers records of one table, column by column, and gives them out as Arrow tables.

    A column is made by its function in ``derive`` (block of records → Arrow array), or is :class:`Coded`, else it is the field of the same
    name. In such a field of a nullable column 0 stands for NULL. ``offset_ns`` is what ``ts`` is ahead of ``ts_ns``.
    """

    def __init__(self, table: Table, dtype: np.dtype[np.void], offset_ns: int, derive: Mapping[str, Derive], capacity: int = ROW_GROUP_ROWS) -> None:
        self.table = table
        self.rows = 0
        self.capacity = capacity
        self._derived_bytes = 0
        self._dtype = dtype
        self._offset_ns = offset_ns
        self._derive = derive
        self._coded = {name: how for name, how in derive.items() if isinstance(how, Coded)}
        self._functions = {name: how for name, how in derive.items() if not isinstance(how, Coded)}
        self._derived: dict[str, list[pa.Array]] = {name: [] for name in self._functions}
        self._schema = arrow_schema(table)
        names = dtype.names or ()
        fields = [column for column in table.columns if column.name not in derive and column.name != "ts"]
        missing = [column.name for column in fields if column.name not in names]
        if missing:
            raise ValueError(f"table {table.name}: no field and no function for {', '.join(missing)}")
        self._buffers: dict[str, npt.NDArray[np.generic]] = {
            column.name: np.empty(capacity, _BUFFER_TYPES.get(column.type, dtype[column.name])) for column in fields
        } | {how.field: np.empty(capacity, dtype[how.field]) for how in self._coded.values()}

    def like(self, capacity: int) -> Decoder:
        """Return a new decoder of the same table and records, with room for ``capacity`` rows."""
        return Decoder(self.table, self._dtype, self._offset_ns, self._derive, capacity)

    def records(self, raw: npt.NDArray[np.uint8]) -> Block:
        """Return ``raw`` ring bytes as an array of records."""
        return raw.view(self._dtype)

    def append(self, block: Block) -> int:
        """Take in rows of ``block`` until :attr:`full`; return how many."""
        count = min(len(block), self.capacity - self.rows)
        for start in range(0, count, _STEP_ROWS):
            if self.full:
                return start
            step = block[start : min(start + _STEP_ROWS, count)]
            for name, buffer in self._buffers.items():
                buffer[self.rows : self.rows + len(step)] = step[name]
            for name, function in self._functions.items():
                array = function(step)
                self._derived[name].append(array)
                self._derived_bytes += array.nbytes
            self.rows += len(step)
        return count

    def _array(self, name: str, type_: Type, nullable: bool) -> pa.Array | pa.ChunkedArray:
        if name in self._coded:
            how = self._coded[name]
            return category(self._buffers[how.field][: self.rows], how.word)
        if name in self._functions:
            return pa.chunked_array(self._derived[name], self._schema.field(name).type)
        if name == "ts":
            return pa.array((self._buffers["ts_ns"][: self.rows] + self._offset_ns) // 1_000).view(pa.timestamp("us"))
        data = self._buffers[name][: self.rows]
        if type_ is Type.CATEGORY:
            is_text = data.dtype.kind == "S"
            return category(data, (known_text if is_text else known_address) if nullable else (text if is_text else address))
        return pa.array(data, mask=data == 0) if nullable and (data == 0).any() else pa.array(data)

    @property
    def full(self) -> bool:
        """Whether what was gathered makes a row group."""
        return self.rows == self.capacity or self._derived_bytes >= ROW_GROUP_BYTES

    def span_ns(self) -> tuple[int, int]:
        """Return the least and the greatest ``ts_ns`` gathered."""
        times = self._buffers["ts_ns"][: self.rows]
        return int(times.min()), int(times.max())

    def flush(self) -> pa.Table:
        """Return the rows gathered as an Arrow table. It shares this decoder's buffers: use it before the next append."""
        arrays = [self._array(column.name, column.type, column.nullable) for column in self.table.columns]
        table = pa.Table.from_arrays(arrays, schema=self._schema)
        self.clear()
        return table

    def clear(self) -> None:
        """Forget the rows gathered."""
        self._derived = {name: [] for name in self._functions}
        self._derived_bytes = 0
        self.rows = 0
