"""The load that both consumers are given: its table, its program, the process that makes it."""

from __future__ import annotations

import mmap
import os
import platform
import subprocess
from pathlib import Path

from recorder.schema import TASK, TS, Column, Encoding, Table, Type

HERE = Path(__file__).parent
RING_BYTES = 16 << 20
_SYS_GETPPID = {"x86_64": 110, "aarch64": 173}

TABLE = Table(
    "load",
    "a system call of the load",
    (
        *TS,
        *TASK,
        Column("latency_ns", Type.INT64, "Made up", "ns", encoding=Encoding.PLAIN),
        Column("saddr", Type.CATEGORY, "Made up"),
        Column("daddr", Type.CATEGORY, "Made up"),
        Column("sport", Type.INT32, "Made up", encoding=Encoding.PLAIN),
        Column("dport", Type.INT32, "Made up"),
    ),
    tracer="load",
    time="ts_ns",
)


SOURCE = str(HERE / "load.bpf.c")


def flags() -> list[str]:
    """Return the flags that the load's program is compiled with."""
    return [
        f"-DPAGE_SIZE={mmap.PAGESIZE}UL",
        f"-DCPUS={os.cpu_count()}",
        f"-DSYS_GETPPID={_SYS_GETPPID[platform.machine()]}",
        f"-DRING_PAGES_load={RING_BYTES // mmap.PAGESIZE}",
    ]


def build(folder: Path) -> Path:
    """Compile the process that makes the load."""
    binary = folder / "load"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(HERE / "load.c")], check=True)
    return binary


def make(binary: Path, rate: int, seconds: float, cpu: int) -> subprocess.Popen[str]:
    """Start the load on one CPU."""
    return subprocess.Popen(["taskset", "-c", str(cpu), str(binary), str(rate), str(seconds)], stdout=subprocess.PIPE, text=True)
