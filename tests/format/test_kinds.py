"""What kind of thing each column tells: said for every one of them, since sharing a recording depends on it."""

from __future__ import annotations

import pytest

from recorder.format_doc import FORMAT_MD
from recorder.schema import TABLES, Column, Kind, Type

COLUMNS = [pytest.param(column, id=f"{table.name}.{column.name}") for table in TABLES.values() for column in table.columns]

TEXT = {Type.STRING, Type.CATEGORY}
HELD_BY = {
    Kind.TIME: {Type.TIMESTAMP, Type.INT64},
    Kind.NUMBER: {Type.INT32, Type.INT64},
    Kind.USER: {Type.INT32, *TEXT},
    Kind.ARGV: {Type.STRINGS},
    Kind.FILTER: {Type.STRINGS, *TEXT},
    Kind.RULE: {Type.STRINGS, *TEXT},
} | dict.fromkeys((Kind.ADDRESS, Kind.HOST, Kind.CONTAINER, Kind.ID, Kind.FILE, Kind.PROGRAM, Kind.MESSAGE, Kind.SYSTEM), TEXT)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_says_what_kind_of_thing_it_tells(column: Column) -> None:
    assert column.kind is not None, "add kind=Kind.… to the column: sharing a recording depends on it"
    assert column.kind is Kind.PLAIN or column.type in HELD_BY[column.kind]


def test_only_measures_and_booleans_are_plain_without_a_word() -> None:
    assert Column("x", Type.INT64, "x").kind is None
    assert Column("x", Type.STRING, "x").kind is None
    assert Column("x", Type.INT64, "x", "ns").kind is Kind.PLAIN
    assert Column("x", Type.BOOL, "x").kind is Kind.PLAIN
    assert Column("x", Type.TIMESTAMP, "x", "us", kind=Kind.TIME).kind is Kind.TIME


def test_the_format_explains_every_kind() -> None:
    section = FORMAT_MD.read_text().partition("\n## Kinds\n")[2].partition("\n## ")[0]
    assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == list(Kind)
