"""Say which tables and columns a recording has, with types, units and meaning: the schema as somebody who writes SQL wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from analyzer.errors import AnalyzerError
from analyzer.sql_error import near
from recorder.schema import TABLES, Column, Table, Type

SQL_TYPES = {
    Type.BOOL: "BOOLEAN",
    Type.INT32: "INTEGER",
    Type.INT64: "BIGINT",
    Type.STRING: "VARCHAR",
    Type.CATEGORY: "VARCHAR",
    Type.STRINGS: "VARCHAR[]",
    Type.TIMESTAMP: "TIMESTAMP",
}
"""What DuckDB calls the types of the schema."""

HOST = Column("host", Type.STRING, "Host that the row is from; no file has it, the analyzer adds it", nullable=True)
RECORDING_ID = Column("recording_id", Type.STRING, "Recording that the row is from; no file has it, the analyzer adds it")

_TIMELINE = (
    Column("timeline_id", Type.STRING, "The same for recordings that were merged: their times can be compared; else recording_id"),
    Column("shift_ns", Type.INT64, "What was added to its times to put it on that time line", "ns"),
    Column("bound_ns", Type.INT64, "How far shift_ns may be wrong", "ns"),
    Column("clock_source", Type.STRING, "What tells: itself, same boot, connections, wall clocks, connections and wall clocks"),
)


def table(name: str) -> Table:
    """Return the table called ``name``; raise AnalyzerError, with the names that are spelled nearly like it, if there is none."""
    found = TABLES.get(name.lower())
    if not found:
        raise AnalyzerError(f"There is no table {name}.", near(name.lower(), TABLES) or "All of them: bpftape schema")
    return found


def added(name: str) -> tuple[Column, ...]:
    """Return the columns that the analyzer adds to the table called ``name``, the last of which is recording_id."""
    return (*_TIMELINE, RECORDING_ID) if name == "recording" else (HOST, RECORDING_ID)


def columns(of: Table) -> tuple[Column, ...]:
    """Return the columns of a table as reports see them."""
    return (*of.columns, *added(of.name))


def as_json(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Return ``tables`` as what JSON has."""
    return [
        {
            "table": item.name,
            "row": item.row,
            "tracer": item.tracer,
            "time": item.time,
            "columns": [
                {"name": column.name, "type": SQL_TYPES[column.type], "unit": column.unit, "nullable": column.nullable, "meaning": column.doc}
                for column in columns(item)
            ],
        }
        for item in tables
    ]


def listing(tables: Sequence[Table]) -> str:
    """Return a line for each of ``tables``: its name and what one of its rows is."""
    width = max(len(item.name) for item in tables)
    return "\n".join(f"{item.name:<{width}}  {item.row}" for item in tables)


def explain(of: Table) -> str:
    """Return what a row of a table is, and a line for each column."""
    made = f"tracer {of.tracer}" if of.tracer else "the recorder itself"
    head = f"{of.name}: {of.row}"
    return "\n".join([head, f"Made by {made}." + (f" Its time is {of.time}." if of.time else ""), "", *column_lines(map(_line, columns(of)))])


def _line(column: Column) -> tuple[str, str, str, str | None]:
    return column.name, SQL_TYPES[column.type], column.doc, column.unit


def column_lines(found: Iterable[tuple[str, str, str, str | None]]) -> list[str]:
    """Return a line for each (name, type, meaning, unit), the first two below each other."""
    rows = list(found)
    names, types = max(len(name) for name, *_ in rows), max(len(kind) for _, kind, *_ in rows)
    return [(f"  {name:<{names}}  {kind:<{types}}  {doc}" + (f" ({unit})" if unit else "")).rstrip() for name, kind, doc, unit in rows]
