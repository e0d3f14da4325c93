"""Every table and column of a recording, declared once.

This module is shared by both sides: the recorder writes what it says, the analyzer makes typed views from it. It imports
neither bcc nor duckdb, and pyarrow only inside :func:`arrow_schema`, so that it costs nothing at start-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
"""Version of the recording format that this recorder writes, and the newest one that this analyzer reads."""

MANIFEST = "manifest.jsonl"
"""Name of the file that makes a folder a recording: a header line, then one line a closed segment."""

SUFFIX = ".bpftape"
"""Ending of a recording folder's name."""

NANOSECONDS = 1_000_000_000


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

INTERVAL = Column("interval_ns", Type.INT64, "Length of the interval that begins at ts_ns", "ns")

_TABLES = (
    Table(
        "clone",
        "a new task (process or thread), seen in the task that made it",
        (
            *TS,
            *TASK,
            Column("child_pid", Type.INT32, "Process id of the new task; the same as pid for a thread"),
            Column("child_tid", Type.INT32, "Thread id of the new task"),
            Column("child_start_ns", Type.INT64, "Start of the new task's process, CLOCK_BOOTTIME", "ns"),
            Column("clone_flags", Type.INT64, "Flags of clone(2), without the exit signal"),
            Column("is_thread", Type.BOOL, "CLONE_THREAD was set: a thread of the same process"),
        ),
        tracer="clone",
        time="ts_ns",
    ),
    Table(
        "exec",
        "a program started in a process",
        (
            *TS,
            *TASK,
            Column("filename", Type.STRING, "Path as it was given to execve(2)"),
            Column("filename_truncated", Type.BOOL, "The path filled the 512 bytes kept of it"),
            Column("argv", Type.STRINGS, "Arguments; NULL with --no-argv or when they could not be read", nullable=True),
            Column("argv_truncated", Type.BOOL, "The arguments were longer than the 4096 bytes kept of them"),
        ),
        tracer="clone",
        time="ts_ns",
    ),
    Table(
        "exit",
        "a process ended (its last thread did); comm is that of its leader",
        (
            *TS,
            *TASK,
            Column("exit_code", Type.INT32, "Value given to exit(3); NULL when a signal ended the process", nullable=True),
            Column("signal", Type.INT32, "Signal that ended the process; NULL when it exited by itself", nullable=True),
            Column("core_dumped", Type.BOOL, "A core dump was written"),
            Column("duration_ns", Type.INT64, "Life of the process: ts_ns - start_ns", "ns", encoding=Encoding.PLAIN),
        ),
        tracer="clone",
        time="ts_ns",
    ),
    Table(
        "process",
        "a process alive when the recording began",
        (
            *TS,
            *TASK,
            Column("exe", Type.STRING, "Path of the program; NULL for kernel threads and where it could not be read", nullable=True),
            Column("cmdline", Type.STRINGS, "Arguments, their first 4096 bytes; NULL with --no-argv or when they could not be read", nullable=True),
            Column("cgroup_path", Type.STRING, "Path of the cgroup that cgroup_id names", nullable=True),
        ),
        tracer="clone",
        time="ts_ns",
    ),
    Table(
        "recording",
        "this recording (one row)",
        (
            Column("host", Type.STRING, "Host name"),
            Column("machine_id", Type.STRING, "/etc/machine-id", nullable=True),
            Column("boot_id", Type.STRING, "Random id of this boot of the kernel", nullable=True),
            Column("kernel", Type.STRING, "Kernel release, as uname -r prints it"),
            Column("arch", Type.STRING, "Machine architecture, as uname -m prints it"),
            Column("cpus", Type.INT32, "Number of CPUs online"),
            Column("command_line", Type.STRINGS, "Arguments that record was started with"),
            Column("tracers", Type.STRINGS, "Tracers that were asked for"),
            Column("filters", Type.STRINGS, "Filters in the kernel, as option=value; empty when everything was recorded"),
            Column("recorder_version", Type.STRING, "Version of the recorder"),
            Column("start_ts", Type.TIMESTAMP, "When the last probe had attached, UTC", "us"),
            Column("start_ns", Type.INT64, "The same, CLOCK_BOOTTIME", "ns"),
            Column("end_ts", Type.TIMESTAMP, "When the first probe was detached, UTC; NULL while recording or after a kill", "us", True),
            Column("end_ns", Type.INT64, "The same, CLOCK_BOOTTIME", "ns", True),
            Column("clean_end", Type.BOOL, "The recorder ended by itself and wrote all that it had"),
            Column("end_reason", Type.STRING, "duration, signal, command, or the error that ended it", nullable=True),
        ),
        rewritten=True,
    ),
    Table(
        "probe",
        "a hook asked for",
        (
            Column("tracer", Type.CATEGORY, "Tracer that asked for it"),
            Column("hook", Type.STRING, "Kind and name of the kernel hook, e.g. raw_tracepoint:task_newtask"),
            Column("tables", Type.STRINGS, "Tables whose rows need this probe"),
            Column("status", Type.CATEGORY, "attached or failed"),
            Column("reason", Type.STRING, "Why it could not be attached", nullable=True),
            Column("program_id", Type.INT32, "Kernel's id of the BPF program", nullable=True),
            Column("attached_ns", Type.INT64, "When it was attached, CLOCK_BOOTTIME", "ns", True),
            Column("detached_ns", Type.INT64, "When it was detached, CLOCK_BOOTTIME; NULL while recording or after a kill", "ns", True),
        ),
        rewritten=True,
    ),
    Table(
        "coverage",
        "tracer, table and second: was it seen, and how much of it was lost",
        (
            *TS,
            INTERVAL,
            Column("tracer", Type.CATEGORY, "Tracer that makes the table"),
            Column("table", Type.CATEGORY, "Table that the counts are of"),
            Column("attached", Type.BOOL, "All probes of the table were attached during the interval"),
            Column("events", Type.INT64, "Records that the kernel put into the ring"),
            Column("lost", Type.INT64, "Events that happened and are not in the recording: the ring was full, or the segment could not be written"),
            Column("bytes", Type.INT64, "Size of those records in the ring", "bytes"),
        ),
        time="ts_ns",
    ),
    Table(
        "clock",
        "a snapshot of the kernel's clocks, read together",
        (
            Column("boottime_ns", Type.INT64, "CLOCK_BOOTTIME", "ns", encoding=Encoding.DELTA),
            Column("monotonic_ns", Type.INT64, "CLOCK_MONOTONIC", "ns", encoding=Encoding.DELTA),
            Column("realtime_ns", Type.INT64, "CLOCK_REALTIME, since 1970-01-01 UTC", "ns", encoding=Encoding.DELTA),
            Column("width_ns", Type.INT64, "How long reading them took: the bound of their difference's error", "ns"),
        ),
        time="boottime_ns",
    ),
    Table(
        "cost",
        "what recording cost in a second, and before the first one to get ready: the recorder's process (program is NULL), and each BPF program",
        (
            *TS,
            INTERVAL,
            Column("program", Type.CATEGORY, "Name of the BPF program; NULL for the recorder's own process", nullable=True),
            Column("cpu_user_ns", Type.INT64, "CPU time of the recorder in user mode", "ns", True),
            Column("cpu_system_ns", Type.INT64, "CPU time of the recorder in the kernel", "ns", True),
            Column("rss_bytes", Type.INT64, "Resident memory of the recorder, rings included", "bytes", True),
            Column("rss_anon_bytes", Type.INT64, "Resident anonymous memory of the recorder", "bytes", True),
            Column("written_bytes", Type.INT64, "Bytes of segments closed", "bytes", True),
            Column("run_count", Type.INT64, "Runs of the BPF program", nullable=True),
            Column("run_time_ns", Type.INT64, "Time spent in the BPF program", "ns", True),
        ),
        time="ts_ns",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
"""All tables by name, in the order in which they are documented."""


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
