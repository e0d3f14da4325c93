"""The recording that reports are measured on: 10,000,000 rows of tcp_connect by the recorder's own decoder and writer, and what belongs to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.size import Host
from recorder.decode import ROW_GROUP_ROWS, Block, Decoder, record_dtype
from recorder.folder import RecordingFolder
from recorder.schema import TABLES
from recorder.tracers import all_tracers
from recorder.writer import SEGMENT_ROWS
from tests.recorder.c_structs import event_structs

ROWS = 10_000_000
_SECOND = 10**9
_OFFSET_NS = 1_700_000_000 * _SECOND
_CONNECTED, _FAILED = 1, 2  # as bpf/tcp.c numbers them
_ECONNREFUSED = 111

Row = dict[str, Any]


def write(path: Path, rows: int = ROWS) -> int:
    """Write the recording; return its size in bytes."""
    host, dtype = Host(), record_dtype(event_structs("tcp")["tcp_connect"])
    table = TABLES["tcp_connect"]
    decoder = Decoder(table, dtype, _OFFSET_NS, all_tracers()["tcp"].tables(True)["tcp_connect"])
    folder = RecordingFolder(path)
    seconds: dict[int, int] = {}
    left = rows
    while left:
        segment = folder.segment(table)
        while left and segment.rows < SEGMENT_ROWS:
            block = _connects(host.block(min(left, ROW_GROUP_ROWS, SEGMENT_ROWS - segment.rows)), dtype)
            for second, count in zip(*np.unique(block["ts_ns"] // _SECOND, return_counts=True), strict=True):
                seconds[int(second)] = seconds.get(int(second), 0) + int(count)
            decoder.append(block)
            left -= len(block)
            span_ns = decoder.span_ns()
            segment.write(decoder.flush(), span_ns)
        segment.finish()
        segment.seal()
    for name, about in _about(host, seconds):
        folder.write_rows(TABLES[name], about)
    folder.close()
    return folder.bytes


def _connects(rows: Block, dtype: np.dtype[np.void]) -> Block:
    """Return the records of a realistic mix as connects: one of 32 is refused."""
    block = np.zeros(len(rows), dtype)
    for name in set(rows.dtype.names or ()) & set(dtype.names or ()) - {"_reserved", "_padding"}:
        block[name] = rows[name]
    failed = block["sport"] % 32 == 0
    block["family"], block["syn_ns"] = 4, block["ts_ns"] - block["latency_ns"]
    block["outcome"] = np.where(failed, _FAILED, _CONNECTED)
    block["errno"] = np.where(failed, _ECONNREFUSED, 0)
    block["latency_ns"][failed] = 0
    return block


def _about(host: Host, seconds: dict[int, int]) -> Iterator[tuple[str, list[Row]]]:
    """Yield the other tables: the processes that made the connects, and what a recording says of itself."""
    first_ns, last_ns = min(seconds) * _SECOND, (max(seconds) + 1) * _SECOND
    ids = {"ppid": 1, "uid": 0, "cgroup_id": 1, "pid_ns": 1, "net_ns": 1, "pid_ns_level": 0}
    processes = zip(host.pids.tolist(), host.starts.tolist(), (comm.decode() for comm in host.comms.tolist()), strict=True)
    yield (
        "process",
        [
            {**ids, **_at(first_ns), "pid": pid, "tid": pid, "start_ns": start_ns, "comm": comm, "exe": f"/usr/bin/{comm}", "cmdline": [comm]}
            for pid, start_ns, comm in processes
        ],
    )
    counts = [
        ("clone", "process", min(seconds), len(host.pids)),
        *(("tcp", "tcp_connect", second, count) for second, count in sorted(seconds.items())),
    ]
    always = {"interval_ns": _SECOND, "attached": True, "lost": 0, "bytes": 0}
    counts += [("clone", "process", second, 0) for second in sorted(seconds)[1:]]
    yield (
        "coverage",
        [
            {**always, **_at(second * _SECOND), "tracer": tracer, "table": table, "events": count}
            for tracer, table, second, count in sorted(counts, key=lambda row: row[2])
        ],
    )
    yield "clock", [{"boottime_ns": first_ns, "monotonic_ns": first_ns, "realtime_ns": first_ns + _OFFSET_NS, "width_ns": 100}]
    attached = {"status": "attached", "program_id": 1, "attached_ns": first_ns, "detached_ns": last_ns}
    yield (
        "probe",
        [attached | {"tracer": tracer, "hook": tracer, "tables": [table]} for tracer, table in (("tcp", "tcp_connect"), ("clone", "process"))],
    )
    machine = {"host": "benchmark", "kernel": "6.1", "arch": "x86_64", "cpus": 2, "recorder_version": "0", "command_line": ["record"]}
    window = {**_at(first_ns, "start"), **_at(last_ns, "end"), "clean_end": True, "end_reason": "duration"}
    yield "recording", [{**machine, **window, "tracers": ["clone", "tcp"], "filters": []}]


def _at(ns: int, prefix: str = "") -> Row:
    """Return a time as two columns: CLOCK_BOOTTIME and the wall clock."""
    wall_clock = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(ns + _OFFSET_NS) // 1_000)
    names = (f"{prefix}_ns", f"{prefix}_ts") if prefix else ("ts_ns", "ts")
    return dict(zip(names, (ns, wall_clock.replace(tzinfo=None)), strict=True))
