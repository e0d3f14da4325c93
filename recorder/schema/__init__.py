"""Every table and column of a recording, declared once.

This package is shared by both sides: the recorder writes what it says, the analyzer makes typed views from it. It imports
neither bcc nor duckdb, and pyarrow only inside :func:`arrow_schema`, so that it costs nothing at start-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.schema import clone, container, own, tcp, xdp
from recorder.schema.column import INTERVAL, OWNER, TASK, TS, Clock, Column, Encoding, Kind, Table, Type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "INTERVAL",
    "MANIFEST",
    "NANOSECONDS",
    "OWNER",
    "SUFFIX",
    "TABLES",
    "TASK",
    "TS",
    "Clock",
    "Column",
    "Encoding",
    "Kind",
    "Table",
    "Type",
    "arrow_schema",
    "restricts",
    "restricts_deeds",
]

FORMAT = 1
"""Version of the recording format that this recorder writes, and the newest one that this analyzer reads."""

MANIFEST = "manifest.jsonl"
"""Name of the file that makes a folder a recording: a header line, then one line a closed segment."""

SUFFIX = ".bpftape"
"""Ending of a recording folder's name."""

NANOSECONDS = 1_000_000_000

TABLES: dict[str, Table] = {table.name: table for module in (clone, tcp, container, xdp, own) for table in module.TABLES}
"""All tables by name, in the order in which they are documented."""


def restricts(filter_word: str, table: str) -> bool:
    """Say whether a filter of a recording (option=value) restricts the rows of ``table``."""
    option, tracer = filter_word.partition("=")[0], TABLES[table].tracer
    if tracer == "xdp":  # filters are about tasks and connections, it is about packets
        return False
    if tracer == "container":
        return option in container.FILTERS
    return tracer == "tcp" if option in tcp.FILTERS else tracer is not None


def restricts_deeds(filter_word: str) -> bool:
    """Say whether a filter of a recording is by what was done; the others are by who did it."""
    return filter_word.partition("=")[0] in tcp.FILTERS


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of ``table``; each field carries its doc and, where it has one, its unit as metadata."""
    import pyarrow as pa

    types: dict[Type, pa.DataType] = {
        Type.BOOL: pa.bool_(),
        Type.INT32: pa.int32(),
        Type.INT64: pa.int64(),
        Type.STRING: pa.string(),
        Type.CATEGORY: pa.dictionary(pa.int32(), pa.string()),
        Type.STRINGS: pa.list_(pa.string()),
        Type.TIMESTAMP: pa.timestamp("us"),
    }
    return pa.schema(
        [
            pa.field(
                column.name,
                types[column.type],
                nullable=column.nullable,
                metadata={"doc": column.doc} | ({"unit": column.unit} if column.unit else {}),
            )
            for column in table.columns
        ]
    )
