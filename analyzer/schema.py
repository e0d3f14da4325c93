"""Say which tables, views and columns there are to read, with types, units and meaning: the schema as somebody who writes SQL wants it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from analyzer.derived import Derived, derived, derived_names
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

_WIDTH = 150
Found = TypeVar("Found")


def readable(name: str) -> Table | Derived:
    """Return the table or derived view called ``name``; raise AnalyzerError, with the names that are spelled nearly like it, if there is none."""
    return _named(name, {item.name: item for item in all_readable()})


def all_readable() -> list[Table | Derived]:
    """Return all tables, and then all derived views."""
    return [*TABLES.values(), *map(derived, derived_names())]


def table(name: str) -> Table:
    """Return the table called ``name``; raise AnalyzerError, with the names that are spelled nearly like it, if there is none."""
    return _named(name, TABLES)


def _named(name: str, known: Mapping[str, Found]) -> Found:
    found = known.get(name.lower())
    if not found:
        raise AnalyzerError(f"There is no table {name}.", near(name.lower(), known) or "All of them: bpftape schema")
    return found


def added(name: str) -> tuple[Column, ...]:
    """Return the columns that the analyzer adds to the table called ``name``, the last of which is recording_id."""
    return (*_TIMELINE, RECORDING_ID) if name == "recording" else (HOST, RECORDING_ID)


def columns(of: Table) -> tuple[Column, ...]:
    """Return the columns of a table as reports see them."""
    return (*of.columns, *added(of.name))


def as_json(found: Iterable[Table | Derived]) -> list[dict[str, Any]]:
    """Return tables and views as what JSON has; what a view is ``derived_from`` is nothing for tables."""
    return [
        {
            "table": item.name,
            "row": item.row,
            "tracer": item.tracer if isinstance(item, Table) else None,
            "time": item.time if isinstance(item, Table) else None,
            "derived_from": [] if isinstance(item, Table) else list(item.tables),
            "columns": [
                {"name": name, "type": kind, "unit": unit, "nullable": nullable, "meaning": doc} for name, kind, doc, unit, nullable in _lines(item)
            ],
        }
        for item in found
    ]


def listing(found: Sequence[Table | Derived]) -> str:
    """Return a line for each of the tables and views: its name and what one of its rows is."""
    width = max(len(item.name) for item in found)
    return "\n".join(f"{item.name:<{width}}  {item.row}" + ("" if isinstance(item, Table) else f" ({_made(item)})") for item in found)


def explain(of: Table | Derived) -> str:
    """Return what a row of a table or view is, a line for each column, and what to know of it."""
    made = f"Made by {_made(of)}." if isinstance(of, Table) else f"A {_made(of)}, made when it is named."
    time = f" Its time is {of.time}." if isinstance(of, Table) and of.time else ""
    caveats = ["", *textwrap.wrap(of.caveats, _WIDTH)] if isinstance(of, Derived) else []
    return "\n".join([f"{of.name}: {of.row}", made + time, "", *column_lines(line[:4] for line in _lines(of)), *caveats])


def _made(of: Table | Derived) -> str:
    if isinstance(of, Derived):
        return f"view of {', '.join(of.tables)}"
    return f"tracer {of.tracer}" if of.tracer else "the recorder itself"


def _lines(of: Table | Derived) -> list[tuple[str, str, str, str | None, bool]]:
    """Return name, type, meaning and unit of each column, and whether it may be NULL, which nothing keeps a view's from."""
    if isinstance(of, Derived):
        return [(column.name, column.type, column.doc, None if column.unit == "-" else column.unit, True) for column in of.columns]
    return [(column.name, SQL_TYPES[column.type], column.doc, column.unit, column.nullable) for column in columns(of)]


def column_lines(found: Iterable[tuple[str, str, str, str | None]]) -> list[str]:
    """Return a line for each (name, type, meaning, unit), the first two below each other."""
    rows = list(found)
    names, types = max(len(name) for name, *_ in rows), max(len(kind) for _, kind, *_ in rows)
    return [(f"  {name:<{names}}  {kind:<{types}}  {doc}" + (f" ({unit})" if unit else "")).rstrip() for name, kind, doc, unit in rows]
