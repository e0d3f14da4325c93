"""How fast a recording is verified, against just reading its bytes, and what a packed one costs analyze: the same questions of both, in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer.packing import pack
from analyzer.recording import open_store
from analyzer.verify import State, verify
from benchmarks.share import make

ROWS = 10_000_000
FIXTURE = Path(__file__).parent.parent / "fixtures" / "demo.bpftape"
QUERIES = {
    "rows": "SELECT count(*) AS n FROM tcp_connect",
    "top talkers": "SELECT daddr, count(*) AS n FROM tcp_connect GROUP BY daddr ORDER BY n DESC, daddr LIMIT 20",
    "quantiles by port": "SELECT dport, quantile_cont(latency_ns, [0.5, 0.99]) AS q FROM tcp_connect GROUP BY dport ORDER BY dport",
    "connects a second": "SELECT ts_ns // 1000000000 AS s, count(*) AS n FROM tcp_connect GROUP BY s ORDER BY s",
    "all columns of some rows": "SELECT * FROM tcp_connect WHERE dport = 443 ORDER BY latency_ns DESC, ts_ns LIMIT 100",
}
_TRIES = 7
_BLOCK_BYTES = 1 << 20


def _read(folder: Path) -> int:
    """Read all files of a folder, one after the other; return how many bytes that were."""
    total, block = 0, bytearray(_BLOCK_BYTES)
    for path in folder.rglob("*.parquet"):
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                total += count
    return total


def _verify(folder: Path) -> int:
    found = verify(open_store(folder))
    assert (found.state, found.sound_segments) == (State.DAMAGED, found.segments), found.findings[:3]  # its coverage is made up
    return found.bytes


def _forget(folder: Path) -> None:
    """Have the kernel forget what it keeps of the files in memory."""
    for path in folder.rglob("*.parquet"):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def _speed(action: Callable[[Path], int], folder: Path, cold: bool) -> float:
    if cold:
        _forget(folder)
    began = time.perf_counter()
    return action(folder) / (time.perf_counter() - began)


def _verifying(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the best speed of each in bytes a second: what disturbs only ever slows down."""
    figures: dict[str, dict[str, Any]] = {}
    for name, cold in (("from memory", False), ("from disk", True)):
        _read(folder), _verify(folder)
        runs = [(_speed(_read, folder, cold), _speed(_verify, folder, cold)) for _ in range(_TRIES)]
        figures[name] = {"read": max(read for read, _ in runs), "verify": max(verified for _, verified in runs), "runs": runs}
        print(f"  {name}: read {figures[name]['read'] / 1e6:,.0f} MB/s, verify {figures[name]['verify'] / 1e6:,.0f} MB/s")
    return figures


def _analyze(recording: Path, sql: str) -> tuple[float, bytes]:
    command = [str(Path(sys.executable).with_name("analyze")), "--sql", sql, str(recording), "--format", "csv"]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began, done.stdout


def _asking(recording: Path, packed: Path, queries: dict[str, str]) -> dict[str, dict[str, float]]:
    figures = {}
    for name, sql in queries.items():
        seconds: dict[Path, list[float]] = {recording: [], packed: []}
        for _ in range(_TRIES):
            answers = set()
            for path, times in seconds.items():
                took, answer = _analyze(path, sql)
                times.append(took)
                answers.add(answer)
            assert len(answers) == 1, f"{name}: another answer of the packed recording"
        plain, ours = (min(times) for times in seconds.values())
        figures[name] = {"unpacked_s": plain, "packed_s": ours, "ratio": round(ours / plain, 3)}
        print(f"  {name}: unpacked {plain * 1e3:,.0f} ms, packed {ours * 1e3:,.0f} ms")
    return figures


def measure() -> dict[str, Any]:
    """Make a recording of 10,000,000 rows, verify and pack it, and ask questions of it and of the canned one."""
    environment = os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as after an installation
    try:
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".run-") as folder:
            recording = make(Path(folder) / "large.bpftape", ROWS)
            verifying = _verifying(recording)
            began = time.perf_counter()
            packed = pack(recording, None)
            pack_s = time.perf_counter() - began
            asking = _asking(recording, packed, QUERIES)
            small = _asking(FIXTURE, pack(FIXTURE, Path(folder) / "demo.bpftape.zip"), {"of 384 rows": QUERIES["top talkers"]})
            return {"bytes": packed.stat().st_size, "verify": verifying, "pack_s": pack_s, "queries": asking | small}
    finally:
        if environment is not None:
            os.environ["PYTHONDONTWRITEBYTECODE"] = environment
