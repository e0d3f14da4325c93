"""What tables are made of: columns, their types and encodings, and the columns that many tables share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Type(StrEnum):
    """Column types of format 1. Each has one Arrow type, one DuckDB type, and is read by Spark without a cast."""

    BOOL = "bool"
    INT32 = "int32"
    INT64 = "int64"
    STRING = "string"
    CATEGORY = "dictionary<string>"
    STRINGS = "list<string>"
    TIMESTAMP = "timestamp[us]"


class Encoding(StrEnum):
    """Parquet encodings of format 1. All of them are in Spark's vectorised reader."""

    DICTIONARY = "RLE_DICTIONARY"
    """Values that repeat."""
    DELTA = "DELTA_BINARY_PACKED"
    """Times that grow."""
    PLAIN = "PLAIN"
    """Numbers that hardly repeat: a dictionary of them costs much and saves nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type, meaning, unit, whether it may be NULL, and how Parquet stores it."""

    name: str
    type: Type
    doc: str
    unit: str | None = None
    nullable: bool = False
    encoding: Encoding = Encoding.DICTIONARY


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of row. ``tracer`` names the unit that makes it; None means the recorder itself does.

    ``time`` names the column that the table is ordered by, where there is one. ``rewritten`` marks the small tables that are
    written when the recording begins and once more, whole, when it ends.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    tracer: str | None = None
    time: str | None = None
    rewritten: bool = False

    def column(self, name: str) -> Column:
        """Return the column called ``name``; raise KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


TS = (
    Column("ts", Type.TIMESTAMP, "Wall-clock time, UTC: ts_ns plus the offset of the first clock row", "us", encoding=Encoding.DELTA),
    Column("ts_ns", Type.INT64, "CLOCK_BOOTTIME, which counts through suspend", "ns", encoding=Encoding.DELTA),
)

TASK = (
    Column("pid", Type.INT32, "Process id (the kernel's tgid) in the initial pid namespace"),
    Column("tid", Type.INT32, "Thread id (the kernel's pid) in the initial pid namespace"),
    Column("ppid", Type.INT32, "Process id of the parent (real_parent's tgid)"),
    Column("start_ns", Type.INT64, "Start of the process, CLOCK_BOOTTIME; with pid a key that survives pid reuse", "ns"),
    Column("comm", Type.CATEGORY, "Name of the task, at most 15 bytes"),
    Column("uid", Type.INT32, "Real user id in the initial user namespace; 4294967295 is stored as -1"),
    Column("cgroup_id", Type.INT64, "Inode of the task's cgroup folder: cgroup v2, or v1's memory controller where v2 has only its root"),
    Column("pid_ns", Type.INT64, "Inode of the task's own pid namespace", nullable=True),
    Column("net_ns", Type.INT64, "Inode of the task's net namespace; NULL when it had left it", nullable=True),
    Column("pid_ns_level", Type.INT32, "Depth of the pid namespace; 0 is the host's"),
)

OWNER = tuple(replace(column, nullable=True) for column in TASK)
"""The columns of :data:`TASK` where the process may be unknown."""
