"""One measurement in a process of its own: consume the load with our pipeline, or with BCC's Python callback; print the figures as JSON.

usage: python -m benchmarks.consume ours|callback RATE SECONDS FOLDER
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import load
from recorder import clocks, libraries
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compilations import declarations
from recorder.compiler import compile_source, source_folder, source_text
from recorder.decode import Decoder, record_dtype
from recorder.drain import Cost, Covered, Drain
from recorder.folder import RecordingFolder
from recorder.ring import Ring
from recorder.schema import arrow_schema
from recorder.schema.parquet import parquet_options
from recorder.writer import Stream, Writer

Figures = dict[str, Any]


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _PeakAnonymous(threading.Thread):
    """Keeps the highest RssAnon seen."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            text = Path("/proc/self/status").read_text()
            anonymous = next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon:"))
            self.bytes = max(self.bytes, int(anonymous) * 1024)

    def stop(self) -> int:
        self._done.set()
        self.join()
        return self.bytes


def ours(binary: Path, rate: int, seconds: float, folder: Path) -> Figures:
    """Consume through the project's own drain, decoder and writer."""
    program = BpfProgram(load.SOURCE, compile_source(load.SOURCE, declarations(Btf.of_running_kernel()), load.flags()))
    clock = clocks.snapshot()
    recording = RecordingFolder(folder)
    writer = Writer(recording, 5.0, lambda: None, None)
    dtype = record_dtype(program.record_layout("load"))
    ring = Ring(program.ring_fd("load"), load.RING_BYTES, dtype.itemsize - 8)
    stream = Stream("load", ring, Decoder(load.TABLE, dtype, clock.offset_ns, {}))
    drain = Drain([Covered(stream, lambda: program.counters("load"), True)], writer, Cost(dict, lambda: recording.bytes), clock.offset_ns)
    program.attach_raw_tracepoint("sys_enter", "on_sys_enter")
    writer.start()
    drain.begin(clocks.boottime_ns())
    before = _cpu_seconds()
    made = int(load.make(binary, rate, seconds, cpu=1).communicate()[0].split()[0])
    program.detach()
    drain.finish(clocks.boottime_ns())
    writer.finish()
    cpu = _cpu_seconds() - before
    events, lost = program.counters("load")
    program.close()
    return {"made": made, "events": events, "lost": lost, "rows": stream.rows, "cpu_s": cpu, "bytes": recording.bytes}


def callback(binary: Path, rate: int, seconds: float, folder: Path) -> Figures:
    """Consume as BCC's tools do, a Python call an event, and write the same columns to Parquet every 100,000 events."""
    folder.mkdir()
    fields = [column.name for column in load.TABLE.columns if column.name != "ts"]
    columns: dict[str, list[Any]] = {name: [] for name in fields}
    writer = pq.ParquetWriter(folder / "load.parquet", arrow_schema(load.TABLE), **parquet_options(load.TABLE))
    offset_ns = clocks.snapshot().offset_ns
    rows = 0

    def flush() -> None:
        schema = arrow_schema(load.TABLE)
        arrays = {"ts": [(ns + offset_ns) // 1_000 for ns in columns["ts_ns"]], **columns}
        writer.write_table(pa.Table.from_arrays([pa.array(arrays[field.name], field.type) for field in schema], schema=schema))
        for values in columns.values():
            values.clear()

    def take(event: Any) -> None:
        nonlocal rows
        columns["ts_ns"].append(event.ts_ns)
        columns["pid"].append(event.pid)
        columns["tid"].append(event.tid)
        columns["ppid"].append(event.ppid)
        columns["start_ns"].append(event.start_ns)
        columns["comm"].append(event.comm.decode("utf-8", "replace"))
        columns["uid"].append(event.uid)
        columns["cgroup_id"].append(event.cgroup_id)
        columns["pid_ns"].append(event.pid_ns)
        columns["net_ns"].append(event.net_ns)
        columns["pid_ns_level"].append(event.pid_ns_level)
        columns["latency_ns"].append(event.latency_ns)
        columns["saddr"].append(socket.inet_ntop(socket.AF_INET, bytes(event.saddr[12:])))
        columns["daddr"].append(socket.inet_ntop(socket.AF_INET, bytes(event.daddr[12:])))
        columns["sport"].append(event.sport)
        columns["dport"].append(event.dport)
        rows += 1
        if rows % 100_000 == 0:
            flush()

    os.environ["BCC_KERNEL_SOURCE"] = str(source_folder() / "stubs")
    text = source_text(load.SOURCE, declarations(Btf.of_running_kernel()))
    program = libraries.load_bcc().BPF(text=text.encode(), cflags=[f"-I{source_folder()}", *load.flags(), "-DCALLBACK"])
    ring = program["load_ring"]
    ring.open_ring_buffer(lambda _context, data, _size: take(ring.event(data)))
    program.attach_raw_tracepoint(tp=b"sys_enter", fn_name=b"on_sys_enter")
    before = _cpu_seconds()
    process = load.make(binary, rate, seconds, cpu=1)
    while process.poll() is None:
        program.ring_buffer_poll(10)
    program.detach_raw_tracepoint(b"sys_enter")
    program.ring_buffer_poll(100)
    flush()
    writer.close()
    cpu = _cpu_seconds() - before
    assert process.stdout is not None
    made = int(process.stdout.read().split()[0])
    counters = program["load_counters"]
    per_cpu = counters[counters.Key(0)]
    events, lost = sum(cpu.events for cpu in per_cpu), sum(cpu.lost for cpu in per_cpu)
    return {"made": made, "events": events, "lost": lost, "rows": rows, "cpu_s": cpu, "bytes": (folder / "load.parquet").stat().st_size}


def main() -> None:
    """Measure once."""
    kind, rate, seconds, folder = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    binary = load.build(folder)
    os.sched_setaffinity(0, {0})
    peak = _PeakAnonymous()
    peak.start()
    begin = time.monotonic()
    figures = (callback if kind == "callback" else ours)(binary, rate, seconds, folder / "recording")
    figures |= {"seconds": seconds, "wall_s": round(time.monotonic() - begin, 3), "peak_rss_anon_bytes": peak.stop()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
