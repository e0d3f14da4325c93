"""How fast two hosts' recordings are merged, and in how much memory: 10,000,000 rows, all of connections that both saw: the most work there is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.verb import run_verb
from recorder.folder import RecordingFolder
from recorder.schema import TABLES, Table, arrow_schema
from tests.merge.hosts import BEGIN_NS, LATER_NS, apart, host

ROWS = 10_000_000
SMALL_ROWS = ROWS // 5
TRIES = 3
_BLOCK_ROWS = 125_000
_BLOCKS_A_SEGMENT = 8
_GAP_NS = 50_000
_PORTS = 28_000
_CLIENTS = pa.array([f"10.{number // 250}.{number % 250}.7" for number in range(20_000)])

Numbers = npt.NDArray[np.int64]


def _rows(table: Table, numbers: Numbers, later_ns: int) -> pa.Table:
    """Return what a table has of connections with these numbers, each from an address and port of its own, by a clock ahead by ``later_ns``."""
    begin_ns = BEGIN_NS + numbers * _GAP_NS + later_ns
    mine = pa.DictionaryArray.from_arrays(pa.array((numbers // _PORTS).astype(np.int32)), _CLIENTS)
    theirs = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(numbers), np.int32)), pa.array(["10.200.0.1"]))
    port, service = pa.array((32_768 + numbers % _PORTS).astype(np.int32)), pa.array(np.full(len(numbers), 443, np.int32))
    after_ns = {"tcp_connect": 200_000, "tcp_accept": 350_000, "tcp_close": 5_000_000}[table.name]
    is_server = table.name == "tcp_accept"
    made: dict[str, Any] = {
        "ts_ns": pa.array(begin_ns + after_ns),
        "ts": pa.array((begin_ns + after_ns) // 1_000, pa.timestamp("us")),
        "saddr": theirs if is_server else mine,
        "sport": service if is_server else port,
        "daddr": mine if is_server else theirs,
        "dport": port if is_server else service,
        "syn_ns": pa.array(begin_ns),
    }
    words = {"outcome": "connected", "direction": "outbound", "saddr_scope": "private", "daddr_scope": "private", "comm": "worker"}
    amounts = {"latency_ns": 200_000, "queued_ns": 50_000, "duration_ns": 4_800_000, "bytes_received": 1_000, "family": 4}
    schema = arrow_schema(table)
    for field in schema:
        if field.name in made:
            continue
        if field.name in words:
            made[field.name] = pa.repeat(pa.scalar(words[field.name]), len(numbers)).dictionary_encode()
        elif field.nullable and field.name not in amounts:
            made[field.name] = pa.nulls(len(numbers), field.type)
        else:
            made[field.name] = pa.repeat(pa.scalar(amounts.get(field.name, 0), pa.int64()), len(numbers)).cast(field.type)
    return pa.table([made[field.name] for field in schema], schema=schema)


def make(folder: Path, rows: int) -> list[Path]:
    """Make recordings of a client and a server of so many rows together: a third connects, a third ends of them, a third accepts."""
    paths = []
    for name, tables, later_ns in (("web1", ("tcp_connect", "tcp_close"), 0), ("db1", ("tcp_accept",), LATER_NS)):
        made = RecordingFolder(folder / f"{name}.bpftape")
        for table, own in apart(host(name, seconds=rows // 3 * _GAP_NS // 1_000_000_000 + 1), later_ns).items():
            made.write_rows(TABLES[table], own)
        for table in tables:
            for start in range(0, rows // 3, _BLOCK_ROWS * _BLOCKS_A_SEGMENT):
                end = min(rows // 3, start + _BLOCK_ROWS * _BLOCKS_A_SEGMENT)
                segment = made.segment(TABLES[table])
                for first in range(start, end, _BLOCK_ROWS):
                    segment.write(_rows(TABLES[table], np.arange(first, min(end, first + _BLOCK_ROWS)), later_ns), (0, 0))
                segment.finish()
                segment.seal()
        made.close()
        paths.append(made.path)
    return paths


def _merge(recordings: list[Path], output: Path, how: str) -> dict[str, Any]:
    """Merge in a process of its own; return its speed and its peak memory."""
    told, seconds, used = run_verb("merge", *map(str, recordings), "--output", str(output))
    parts = told["parts"]
    shutil.rmtree(output)
    rows, part = sum(part["rows"] for part in parts), parts[1]
    assert part["source"] == "connections"
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"]
    figures = {
        "how": how,
        "rows": rows,
        "rows_a_second": rows / seconds,
        **used,
        "connections": part["connections"],
        "bound_ns": part["bound_ns"],
    }
    print(f"  {how:7} {rows:>11,} rows  {figures['rows_a_second']:>10,.0f}/s  {figures['peak_bytes'] / 1e6:,.0f} MB  +-{part['bound_ns']:,} ns")
    return figures


def measure() -> dict[str, Any]:
    """Merge recordings of two sizes, by hard links and onto another file system; return every run."""
    runs = []
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".run-") as here, tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        for name, rows in (("small", SMALL_ROWS), ("large", ROWS)):
            (Path(here) / name).mkdir()
            recordings = make(Path(here) / name, rows)
            for _ in range(TRIES if rows == ROWS else 1):
                runs.append(_merge(recordings, Path(here) / "linked.bpftape", "linked"))
                runs.append(_merge(recordings, Path(elsewhere) / "copied.bpftape", "copied"))
    return {"runs": runs}
