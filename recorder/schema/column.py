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


class Kind(StrEnum):
    """What a column's values can tell a stranger: whoever shares a recording treats all columns of a kind in one way."""

    PLAIN = "plain"
    """Counts, lengths of time, ports, states, and words of the recorder's own."""
    TIME = "time"
    """The wall clock."""
    NUMBER = "number"
    """Numbers that the kernel gave: process ids, inodes, indices. They mean nothing elsewhere."""
    USER = "user"
    ADDRESS = "address"
    HOST = "host"
    """Names of hosts, and of their network interfaces."""
    CONTAINER = "container"
    """Names of containers, images and cgroups."""
    ID = "id"
    """Ids that stand for one machine, boot, container or pod in all the world."""
    FILE = "file"
    PROGRAM = "program"
    """Names of tasks."""
    ARGV = "argv"
    """Arguments of programs."""
    FILTER = "filter"
    """What a user asked for: option=value."""
    RULE = "rule"
    """Which packets a user asked to be dropped: words, ports and networks."""
    MESSAGE = "message"
    """Sentences of the recorder and the kernel, which may quote names."""
    SYSTEM = "system"
    """What the machine is made of: its kernel."""


class Clock(StrEnum):
    """What a column that is a point in time was read from: of another host's recording, it is shifted by as much as that host's clock is apart."""

    BOOTTIME = "boottime"
    WALL = "wall"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, type, meaning, unit, whether it may be NULL, how Parquet stores it, what kind of thing it tells, and its clock.

    A measure (it has a unit) or a yes or no is plain unless it says otherwise; every other column says its kind. A point in time has a clock.
    """

    name: str
    type: Type
    doc: str
    unit: str | None = None
    nullable: bool = False
    encoding: Encoding = Encoding.DICTIONARY
    kind: Kind | None = None
    clock: Clock | None = None

    def __post_init__(self) -> None:
        if self.kind is None and (self.unit is not None or self.type is Type.BOOL):
            object.__setattr__(self, "kind", Kind.PLAIN)


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of row. ``tracer`` names the unit that makes it; None means the recorder itself does.

    ``time`` names the column that the table is ordered by, where there is one. ``rewritten`` marks the small tables that are
    written when the recording begins and once more, whole, when it ends. ``lasting``: its rows say what was there all along, so that
    reports over a part of the recording's time need all of them. ``is_own_doing`` marks what the recorder itself did: its tracer
    is attached when there is something to do, and else there is nothing of it.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    tracer: str | None = None
    time: str | None = None
    rewritten: bool = False
    lasting: bool = False
    is_own_doing: bool = False

    def column(self, name: str) -> Column:
        """Return the column called ``name``; raise KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


TS = (
    Column(
        "ts",
        Type.TIMESTAMP,
        "Wall-clock time, UTC: ts_ns plus the offset of the first clock row",
        "us",
        encoding=Encoding.DELTA,
        kind=Kind.TIME,
        clock=Clock.WALL,
    ),
    Column("ts_ns", Type.INT64, "CLOCK_BOOTTIME, which counts through suspend", "ns", encoding=Encoding.DELTA, clock=Clock.BOOTTIME),
)

INTERVAL = Column("interval_ns", Type.INT64, "Length of the interval that begins at ts_ns", "ns")

TASK = (
    Column("pid", Type.INT32, "Process id (the kernel's tgid) in the initial pid namespace", kind=Kind.NUMBER),
    Column("tid", Type.INT32, "Thread id (the kernel's pid) in the initial pid namespace", kind=Kind.NUMBER),
    Column("ppid", Type.INT32, "Process id of the parent (real_parent's tgid)", kind=Kind.NUMBER),
    Column("start_ns", Type.INT64, "Start of the process, CLOCK_BOOTTIME; with pid a key that survives pid reuse", "ns", clock=Clock.BOOTTIME),
    Column("comm", Type.CATEGORY, "Name of the task, at most 15 bytes", kind=Kind.PROGRAM),
    Column("uid", Type.INT32, "Real user id in the initial user namespace; 4294967295 is stored as -1", kind=Kind.USER),
    Column(
        "cgroup_id",
        Type.INT64,
        "Inode of the task's cgroup folder: cgroup v2, or v1's memory controller where v2 has only its root",
        kind=Kind.NUMBER,
    ),
    Column("pid_ns", Type.INT64, "Inode of the task's own pid namespace", nullable=True, kind=Kind.NUMBER),
    Column("net_ns", Type.INT64, "Inode of the task's net namespace; NULL when it had left it", nullable=True, kind=Kind.NUMBER),
    Column("pid_ns_level", Type.INT32, "Depth of the pid namespace; 0 is the host's", kind=Kind.PLAIN),
)

OWNER = tuple(replace(column, nullable=True) for column in TASK)
"""The columns of :data:`TASK` where the process may be unknown."""
