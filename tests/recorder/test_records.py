"""What the C files write into a ring and what the schema says of a row are the same thing: without a kernel, without root."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from recorder.decode import Coded, Decoder, record_dtype
from recorder.schema import TABLES, Type, arrow_schema
from recorder.tracers import all_tracers
from tests.recorder.c_structs import event_structs, layout

RECORDS = {(tracer, table): struct for tracer in all_tracers() for table, struct in event_structs(tracer).items()}
ALL = pytest.mark.parametrize(("tracer", "table"), RECORDS, ids=lambda value: value)

# Which fields of a record may stand for a column of a type. A 32-bit field may fill a 64-bit column.
FITTING: dict[Type, tuple[tuple[str, int], ...]] = {
    Type.BOOL: (("u", 1),),
    Type.INT32: (("i", 4), ("u", 4), ("u", 2), ("u", 1)),
    Type.INT64: (("i", 8), ("u", 8), ("u", 4)),
}


@ALL
def test_each_record_is_a_table_of_its_tracer(tracer: str, table: str) -> None:
    assert TABLES[table].tracer in (tracer, None)  # None: there whatever tracers were asked for
    assert table in all_tracers()[tracer].tables(True)


@pytest.mark.parametrize("tracer", all_tracers())
def test_each_table_of_a_tracer_has_a_record(tracer: str) -> None:
    assert set(event_structs(tracer)) == set(all_tracers()[tracer].tables(True)) == set(all_tracers()[tracer].tables(False))


@ALL
def test_records_have_no_holes_and_end_on_8_bytes(tracer: str, table: str) -> None:
    struct = RECORDS[tracer, table]
    end = 0
    for name, offset, size in layout(struct):
        assert offset == end, f"a hole in front of {name}: ring memory that is not written"
        end = offset + size
    assert end == ctypes.sizeof(struct)
    assert end % 8 == 0


@ALL
def test_each_column_is_a_field_that_fits_or_has_a_function(tracer: str, table: str) -> None:
    dtype = record_dtype(RECORDS[tracer, table])
    derived = all_tracers()[tracer].tables(True)[table]
    names = [column.name for column in TABLES[table].columns]
    assert set(derived) <= set(names), "a function for a column that is not there"
    for column in TABLES[table].columns:
        if column.name in derived or column.name == "ts":
            continue
        field = dtype[column.name]
        if column.type is Type.CATEGORY:
            assert field.kind == "S" or (field.shape == (16,) and field.base == np.uint8), column.name
        else:
            assert (field.kind, field.itemsize) in FITTING[column.type], column.name


@ALL
def test_each_field_is_used_or_says_that_it_is_not(tracer: str, table: str) -> None:
    dtype = record_dtype(RECORDS[tracer, table])
    columns = {column.name for column in TABLES[table].columns}
    extra = {name for name in dtype.names or () if name not in columns and not name.startswith("_")}
    assert not extra or all_tracers()[tracer].tables(True)[table], f"nothing reads {extra}"


@pytest.mark.parametrize("argv", [True, False], ids=["argv", "no argv"])
@ALL
def test_records_become_rows_of_the_schema(tracer: str, table: str, argv: bool) -> None:
    dtype = record_dtype(RECORDS[tracer, table])
    derived = all_tracers()[tracer].tables(argv)[table]
    decoder = Decoder(TABLES[table], dtype, 0, derived)
    block = np.zeros(3, dtype)
    for name, how in derived.items():
        if isinstance(how, Coded) and not TABLES[table].column(name).nullable:
            block[how.field] = 1  # 0 stands for NULL, and the kernel side never writes it there
    block["ts_ns"] = [1_000, 2_000, 3_000]
    block["pid"] = [2**22 + number for number in range(3)]
    block["comm"] = [b"one", b"two", b"two"]
    assert decoder.append(block) == 3
    rows = decoder.flush()
    rows.validate(full=True)
    assert rows.schema.equals(arrow_schema(TABLES[table]), check_metadata=True)
    assert rows.column("ts_ns").to_pylist() == [1_000, 2_000, 3_000]
    assert rows.column("comm").to_pylist() == ["one", "two", "two"]
    for column in TABLES[table].columns:
        assert column.nullable or rows.column(column.name).null_count == 0, column.name
