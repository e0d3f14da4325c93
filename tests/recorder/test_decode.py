"""Whole columns of bytes against what plain Python makes of each row."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.decode import (
    Block,
    Coded,
    Decoder,
    Derive,
    category,
    numbered,
    record_dtype,
    string_lists,
    strings,
    text,
)
from recorder.ring import HEADER_BYTES
from recorder.schema import TABLES, TS, Column, Table, Type, arrow_schema

WIDTH = 24
# NUL, ASCII, and what makes UTF-8 go wrong are all frequent.
BYTES = st.lists(
    st.one_of(st.just(0), st.integers(97, 99), st.sampled_from([0xC3, 0xA9, 0xFF, 0xE2, 0x82, 0xAC]), st.integers(0, 255)), max_size=WIDTH
)
ROWS = st.lists(st.tuples(BYTES, st.booleans()), max_size=9)


def matrix(rows: Sequence[bytes], rest: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return rows of WIDTH bytes, filled up with ``rest``: the ring's memory is not zeroed."""
    return np.frombuffer(b"".join(row + bytes([rest]) * (WIDTH - len(row)) for row in rows), np.uint8).reshape(-1, WIDTH)


def sizes(rows: Sequence[bytes]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array([len(row) for row in rows], np.uint32)


def split(data: bytes) -> list[str]:
    words = data.split(b"\0")
    if not words[-1]:
        words.pop()
    return [word.decode("utf-8", "replace") for word in words]


@given(rows=ROWS, rest=st.sampled_from([0, 65, 255]))
def test_lists_are_split_at_each_nul_and_end_at_the_size(rows: list[tuple[list[int], bool]], rest: int) -> None:
    data = [bytes(row) for row, _ in rows]
    present = [there for _, there in rows]
    lists = string_lists(matrix(data, rest), sizes(data), np.array(present, np.bool_))
    lists.validate(full=True)
    assert lists.to_pylist() == [split(row) if there else None for row, there in zip(data, present, strict=True)]


@given(rows=st.lists(BYTES, max_size=9), rest=st.sampled_from([0, 65, 255]))
def test_strings_end_at_the_first_nul_or_the_size(rows: list[list[int]], rest: int) -> None:
    data = [bytes(row) for row in rows]
    found = strings(matrix(data, rest), sizes(data))
    assert found.to_pylist() == [row.split(b"\0")[0].decode("utf-8", "replace") for row in data]
    assert len(found) == len(data)


@given(rows=st.lists(BYTES, max_size=9))
def test_categories_are_texts_up_to_the_first_nul_each_once(rows: list[list[int]]) -> None:
    data = [bytes(row) for row in rows]
    names = np.frombuffer(b"".join(row.ljust(WIDTH, b"\0") for row in data), f"S{WIDTH}")
    found = category(names, text)
    found.validate(full=True)
    assert found.to_pylist() == [row.split(b"\0")[0].decode("utf-8", "replace") for row in data]
    words = found.dictionary.to_pylist()
    assert len(set(words)) == len(words)


class Record(ctypes.Structure):
    """A record as BCC would derive it."""

    _fields_ = (
        ("ts_ns", ctypes.c_uint64),
        ("big", ctypes.c_uint64),
        ("uid", ctypes.c_uint32),
        ("inode", ctypes.c_uint32),
        ("comm", ctypes.c_char * 16),
        ("flag", ctypes.c_uint8),
        ("_padding", ctypes.c_uint8 * 7),
    )


TABLE = Table(
    "synthetic",
    "a record",
    (
        *TS,
        Column("big", Type.INT64, "64 bits"),
        Column("uid", Type.INT32, "32 bits"),
        Column("inode", Type.INT64, "0 is NULL", nullable=True),
        Column("comm", Type.CATEGORY, "a name"),
        Column("flag", Type.BOOL, "a flag"),
        Column("twice", Type.INT64, "derived"),
    ),
    time="ts_ns",
)


def twice(block: Block) -> pa.Array:
    return pa.array(block["uid"].astype(np.int64) * 2)


def records(count: int, first: int = 0) -> bytes:
    """Return ring bytes of records, headers and all."""
    parts = []
    for number in range(first, first + count):
        name = b"odd\xff" if number % 2 else b"even"
        record = Record(1_000_000_000 + number, number << 40, 2**32 - 1 - number, number % 3, name, number % 2)
        parts.append(ctypes.sizeof(Record).to_bytes(HEADER_BYTES, "little") + bytes(record))
    return b"".join(parts)


def decoder(capacity: int = 100) -> Decoder:
    return Decoder(TABLE, record_dtype(Record), 5_000_000_000, {"twice": twice}, capacity)


def block(decoder: Decoder, count: int, first: int = 0) -> Block:
    return decoder.records(np.frombuffer(records(count, first), np.uint8))


def expected(numbers: range) -> list[dict[str, object]]:
    return [
        {
            "ts": datetime(1970, 1, 1) + timedelta(microseconds=(6_000_000_000 + number) // 1_000),
            "ts_ns": 1_000_000_000 + number,
            "big": number << 40,
            "uid": -1 - number,
            "inode": number % 3 or None,
            "comm": "odd\ufffd" if number % 2 else "even",
            "flag": bool(number % 2),
            "twice": 2 * (2**32 - 1 - number),
        }
        for number in numbers
    ]


def test_the_records_dtype_is_the_struct_behind_the_header() -> None:
    dtype = record_dtype(Record)
    assert dtype.itemsize == ctypes.sizeof(Record) + HEADER_BYTES
    assert dtype["comm"] == np.dtype("S16")
    assert dtype["_padding"].shape == (7,)
    assert {name: dtype.fields[name][1] for name in ("ts_ns", "comm", "flag")} == {"ts_ns": 8, "comm": 32, "flag": 48}  # type: ignore[index]


def test_fields_and_functions_become_columns_of_the_tables_types() -> None:
    one = decoder()
    assert one.append(block(one, 23)) == 23
    assert one.rows == 23
    assert one.span_ns() == (1_000_000_000, 1_000_000_022)
    table = one.flush()
    assert table.schema.equals(arrow_schema(TABLE), check_metadata=True)
    table.validate(full=True)
    assert table.to_pylist() == expected(range(23))


def test_a_full_decoder_takes_no_more_and_is_empty_after_a_flush() -> None:
    one = decoder(10)
    rows = block(one, 23)
    found = []
    taken = []
    while len(rows):
        taken.append(one.append(rows))
        rows = rows[taken[-1] :]
        found += one.flush().to_pylist()
        assert one.rows == 0
    assert taken == [10, 10, 3]
    assert found == expected(range(23))


def test_blocks_add_up_across_the_steps_of_copying() -> None:
    one = decoder(50_000)
    for first, count in ((0, 9_000), (9_000, 1), (9_001, 20_000)):
        assert one.append(block(one, count, first)) == count
    assert one.flush().to_pylist() == expected(range(29_001))


def test_what_was_cleared_is_forgotten() -> None:
    one = decoder()
    one.append(block(one, 5))
    one.clear()
    one.append(block(one, 3, first=5))
    assert one.flush().to_pylist() == expected(range(5, 8))


def test_a_decoder_like_another_has_rows_of_its_own() -> None:
    one = decoder()
    other = one.like(5)
    assert other.append(block(one, 7)) == 5
    assert (one.rows, other.rows, other.capacity) == (0, 5, 5)
    assert other.flush().to_pylist() == expected(range(5))


CODED_TABLE = Table(
    "coded",
    "a record",
    (
        *TS,
        Column("comm", Type.CATEGORY, "a name", nullable=True),
        Column("length", Type.CATEGORY, "of the name"),
        Column("parity", Type.CATEGORY, "of flag", nullable=True),
    ),
    time="ts_ns",
)


def test_coded_columns_share_their_field_with_a_column_of_its_name() -> None:
    seen: list[bytes] = []

    def length(data: bytes) -> str:
        seen.append(data)
        return str(len(data.rstrip(b"\0")))

    derive: dict[str, Derive] = {"length": Coded("comm", length), "parity": Coded("flag", numbered((None, "odd")))}
    one = Decoder(CODED_TABLE, record_dtype(Record), 0, derive, 10)
    rows = one.records(np.frombuffer(records(14), np.uint8))
    tables = []
    while len(rows):
        rows = rows[one.append(rows) :]
        tables.append(one.flush())
        tables[-1].validate(full=True)
        assert tables[-1].schema.equals(arrow_schema(CODED_TABLE), check_metadata=True)
    found = [(row["comm"], row["length"], row["parity"]) for table in tables for row in table.to_pylist()]
    assert found == [("even", "4", None), ("odd\ufffd", "4", "odd")] * 7
    assert len(seen) == 2 * len(tables), "each distinct value is looked at once"
    assert one.like(3).append(one.records(np.frombuffer(records(5), np.uint8))) == 3


def test_a_name_that_is_empty_is_null_only_where_it_may_be() -> None:
    nameless = bytes(ctypes.sizeof(Record).to_bytes(HEADER_BYTES, "little")) + bytes(Record(1, 2, 3, 4))
    for table, derive, expected_name in (
        (CODED_TABLE, {"length": Coded("flag", str), "parity": Coded("flag", str)}, None),
        (TABLE, {"twice": twice}, ""),
    ):
        one = Decoder(table, record_dtype(Record), 0, derive, 3)
        one.append(one.records(np.frombuffer(nameless, np.uint8)))
        assert one.flush().column("comm").to_pylist() == [expected_name]


def test_a_column_that_nothing_makes_is_an_error() -> None:
    with pytest.raises(ValueError, match="table exec: no field and no function for pid"):
        Decoder(TABLES["exec"], record_dtype(Record), 0, {})
