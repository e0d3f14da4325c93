"""Tables that the recorder writes about the recording itself."""

from __future__ import annotations

from recorder.schema.column import TS, Column, Encoding, Table, Type

INTERVAL = Column("interval_ns", Type.INT64, "Length of the interval that begins at ts_ns", "ns")

TABLES = (
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
