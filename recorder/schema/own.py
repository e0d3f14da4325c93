"""Tables that the recorder writes about the recording itself."""

from __future__ import annotations

from recorder.schema.column import INTERVAL, TS, Column, Encoding, Kind, Table, Type

TABLES = (
    Table(
        "recording",
        "this recording (one row)",
        (
            Column("host", Type.STRING, "Host name", kind=Kind.HOST),
            Column("machine_id", Type.STRING, "/etc/machine-id", nullable=True, kind=Kind.ID),
            Column("boot_id", Type.STRING, "Random id of this boot of the kernel", nullable=True, kind=Kind.ID),
            Column("kernel", Type.STRING, "Kernel release, as uname -r prints it", kind=Kind.SYSTEM),
            Column("arch", Type.STRING, "Machine architecture, as uname -m prints it", kind=Kind.PLAIN),
            Column("cpus", Type.INT32, "Number of CPUs online", kind=Kind.PLAIN),
            Column("command_line", Type.STRINGS, "Arguments that record was started with", kind=Kind.ARGV),
            Column("tracers", Type.STRINGS, "Tracers that were asked for", kind=Kind.PLAIN),
            Column("filters", Type.STRINGS, "Filters in the kernel, as option=value; empty when everything was recorded", kind=Kind.FILTER),
            Column("recorder_version", Type.STRING, "Version of the recorder", kind=Kind.PLAIN),
            Column("start_ts", Type.TIMESTAMP, "When the last probe had attached, UTC", "us", kind=Kind.TIME),
            Column("start_ns", Type.INT64, "The same, CLOCK_BOOTTIME", "ns"),
            Column(
                "end_ts", Type.TIMESTAMP, "When the first probe was detached, UTC; NULL while recording or after a kill", "us", True, kind=Kind.TIME
            ),
            Column("end_ns", Type.INT64, "The same, CLOCK_BOOTTIME", "ns", True),
            Column("clean_end", Type.BOOL, "The recorder ended by itself and wrote all that it had"),
            Column("end_reason", Type.STRING, "duration, signal, command, or the error that ended it", nullable=True, kind=Kind.MESSAGE),
        ),
        rewritten=True,
    ),
    Table(
        "probe",
        "a hook asked for",
        (
            Column("tracer", Type.CATEGORY, "Tracer that asked for it", kind=Kind.PLAIN),
            Column("hook", Type.STRING, "Kind and name of the kernel hook, e.g. raw_tracepoint:task_newtask", kind=Kind.PLAIN),
            Column("tables", Type.STRINGS, "Tables whose rows need this probe", kind=Kind.PLAIN),
            Column("status", Type.CATEGORY, "attached or failed", kind=Kind.PLAIN),
            Column(
                "reason",
                Type.STRING,
                "Why it could not be attached, or not as well as it might; what it does not see; or what ended it before its time",
                nullable=True,
                kind=Kind.MESSAGE,
            ),
            Column("program_id", Type.INT32, "Kernel's id of the BPF program", nullable=True, kind=Kind.NUMBER),
            Column("attached_ns", Type.INT64, "When it was attached, CLOCK_BOOTTIME", "ns", True),
            Column("detached_ns", Type.INT64, "When it was detached, CLOCK_BOOTTIME; NULL while recording or after a kill", "ns", True),
            Column("interface", Type.STRING, "Network interface of a program of --drop", nullable=True, kind=Kind.HOST),
            Column("mode", Type.STRING, "native or generic, of such a program", nullable=True, kind=Kind.PLAIN),
            Column("rules", Type.STRINGS, "Its rules, as --drop takes them", nullable=True, kind=Kind.RULE),
        ),
        rewritten=True,
    ),
    Table(
        "coverage",
        "tracer, table and second: was it seen, and how much of it was lost",
        (
            *TS,
            INTERVAL,
            Column("tracer", Type.CATEGORY, "Tracer that makes the table", kind=Kind.PLAIN),
            Column("table", Type.CATEGORY, "Table that the counts are of", kind=Kind.PLAIN),
            Column("attached", Type.BOOL, "All probes of the table that were wanted were attached during the interval"),
            Column("events", Type.INT64, "Records that the kernel put into the ring; rows of a table that is sampled", kind=Kind.PLAIN),
            Column(
                "lost",
                Type.INT64,
                "Events that happened and are not in the recording: the ring was full, or the segment could not be written; "
                "packets dropped on purpose whose ICMP type and code found no room",
                kind=Kind.PLAIN,
            ),
            Column("bytes", Type.INT64, "Size of those records in the ring", "bytes"),
            Column("unwritten", Type.INT64, "NULL for intervals; else lost rows that their events have counted already", None, True, kind=Kind.PLAIN),
        ),
        time="ts_ns",
    ),
    Table(
        "clock",
        "a snapshot of the kernel's clocks, read together",
        (
            Column("boottime_ns", Type.INT64, "CLOCK_BOOTTIME", "ns", encoding=Encoding.DELTA),
            Column("monotonic_ns", Type.INT64, "CLOCK_MONOTONIC", "ns", encoding=Encoding.DELTA),
            Column("realtime_ns", Type.INT64, "CLOCK_REALTIME, since 1970-01-01 UTC", "ns", encoding=Encoding.DELTA, kind=Kind.TIME),
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
            Column("program", Type.CATEGORY, "Name of the BPF program; NULL for the recorder's own process", nullable=True, kind=Kind.PLAIN),
            Column("cpu_user_ns", Type.INT64, "CPU time of the recorder in user mode", "ns", True),
            Column("cpu_system_ns", Type.INT64, "CPU time of the recorder in the kernel", "ns", True),
            Column("rss_bytes", Type.INT64, "Resident memory of the recorder, rings included", "bytes", True),
            Column("rss_anon_bytes", Type.INT64, "Resident anonymous memory of the recorder", "bytes", True),
            Column("written_bytes", Type.INT64, "Bytes of segments closed", "bytes", True),
            Column("run_count", Type.INT64, "Runs of the BPF program", nullable=True, kind=Kind.PLAIN),
            Column("run_time_ns", Type.INT64, "Time spent in the BPF program", "ns", True),
        ),
        time="ts_ns",
    ),
)
