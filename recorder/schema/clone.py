"""Tables of the clone tracer: processes."""

from __future__ import annotations

from recorder.schema.column import TASK, TS, Clock, Column, Encoding, Kind, Table, Type

TABLES = (
    Table(
        "clone",
        "a new task (process or thread), seen in the task that made it",
        (
            *TS,
            *TASK,
            Column("child_pid", Type.INT32, "Process id of the new task; the same as pid for a thread", kind=Kind.NUMBER),
            Column("child_tid", Type.INT32, "Thread id of the new task", kind=Kind.NUMBER),
            Column("child_start_ns", Type.INT64, "Start of the new task's process, CLOCK_BOOTTIME", "ns", clock=Clock.BOOTTIME),
            Column("clone_flags", Type.INT64, "Flags of clone(2), without the exit signal", kind=Kind.PLAIN),
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
            Column("filename", Type.STRING, "Path as it was given to execve(2)", kind=Kind.FILE),
            Column("filename_truncated", Type.BOOL, "The path filled the 512 bytes kept of it"),
            Column("argv", Type.STRINGS, "Arguments; NULL with --no-argv or when they could not be read", nullable=True, kind=Kind.ARGV),
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
            Column("exit_code", Type.INT32, "Value given to exit(3); NULL when a signal ended the process", nullable=True, kind=Kind.PLAIN),
            Column("signal", Type.INT32, "Signal that ended the process; NULL when it exited by itself", nullable=True, kind=Kind.PLAIN),
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
            Column("exe", Type.STRING, "Path of the program; NULL for kernel threads and where it could not be read", nullable=True, kind=Kind.FILE),
            Column(
                "cmdline",
                Type.STRINGS,
                "Arguments, their first 4096 bytes; NULL with --no-argv or when they could not be read",
                nullable=True,
                kind=Kind.ARGV,
            ),
            Column("cgroup_path", Type.STRING, "Path of the cgroup that cgroup_id names", nullable=True, kind=Kind.CONTAINER),
        ),
        tracer="clone",
        time="ts_ns",
        lasting=True,
    ),
)
