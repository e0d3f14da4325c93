"""How fast a recording is shared, and in how much memory: 10,000,000 rows of a realistic mix, a fifth of them, and rows with a name each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.size import Host
from benchmarks.verb import run_verb
from recorder.decode import Block, address, category, scope, text
from recorder.folder import RecordingFolder
from recorder.schema import TABLES, Table, arrow_schema
from tests.rows import read_rows

ROWS = 10_000_000
SMALL_ROWS = ROWS // 5
_BLOCK_ROWS = 125_000
_BLOCKS_A_SEGMENT = 8
# Of ten blocks one is of programs that started.
_EXECS = 10
_COMMANDS = 5_000
_TRIES = 3
# Recordings where every path, argument and address is another one: what one of their rows costs is to be the same in both.
DISTINCT_ROWS = (250_000, 1_000_000)


def _commands() -> list[list[str]]:
    """Return command lines of some six words, one in ten of them with a secret."""
    random = np.random.default_rng(20_261_128)
    made = []
    for number in range(_COMMANDS):
        words = [
            f"/opt/app-{number % 60}/bin/worker",
            f"--job={number}",
            f"--target=10.{number % 250}.0.7:8080",
            f"/srv/data/{random.integers(10**9)}.csv",
        ]
        made.append([*words, "--password", f"s3cret-{number}"] if number % 10 == 0 else [*words, "-v"])
    return made


class _Columns:
    """Makes rows of a table from the records of a host."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(20_261_129)
        self._commands = _commands()

    def rows(self, table: Table, block: Block) -> pa.Table:
        schema = arrow_schema(table)
        return pa.table([self._column(field.name, field, block) for field in schema], schema=schema)

    def _column(self, name: str, field: pa.Field, block: Block) -> pa.Array:
        rows = len(block)
        if name in ("saddr", "daddr"):
            return category(block[name], address)
        if name in ("saddr_scope", "daddr_scope"):
            return category(block[name.removesuffix("_scope")], scope)
        if name == "comm":
            return category(block[name], text)
        if name == "ts":
            return pa.array(block["ts_ns"].astype(np.int64) // 1_000, pa.timestamp("us"))
        if name == "argv":
            return pa.array([self._commands[number] for number in self._random.integers(0, _COMMANDS, rows)], field.type)
        if name == "filename":
            return pa.array([f"/opt/app-{number}/bin/worker" for number in self._random.integers(0, 60, rows)])
        if name in (block.dtype.names or ()):
            return pa.array(block[name].astype(field.type.to_pandas_dtype()))
        if field.nullable:
            return pa.nulls(rows, field.type)
        constants: dict[pa.DataType, Any] = {pa.bool_(): False, pa.int32(): 4}
        return pa.repeat(pa.scalar(constants.get(field.type, "connected"), field.type if field.type in constants else pa.string()), rows)


class _Distinct(_Columns):
    """Makes rows of which each has a path, arguments and an address of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._made = 0

    def rows(self, table: Table, block: Block) -> pa.Table:
        self._made += len(block)
        return super().rows(table, block)

    def _column(self, name: str, field: pa.Field, block: Block) -> pa.Array:
        numbers = range(self._made - len(block), self._made)
        if name == "daddr":
            return pa.array([f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}" for number in numbers]).dictionary_encode()
        if name == "filename":
            return pa.array([_path(number) for number in numbers])
        if name == "argv":
            return pa.array([[_path(number), f"--job={number}", f"/srv/data/{number * 7_919}.csv", "-v"] for number in numbers], field.type)
        return super()._column(name, field, block)


def _path(number: int) -> str:
    return f"/srv/build-{number // 997}/{number * 2_654_435_761 % (1 << 32):08x}/program-{number}"


def make(path: Path, rows: int, is_distinct: bool = False) -> Path:
    """Make a recording of so many rows, one in ten of them of a program; where they are to be distinct, every second."""
    host, columns, folder, fixture = Host(), _Distinct() if is_distinct else _Columns(), RecordingFolder(path), read_rows()
    for table in (table for table in TABLES.values() if table.tracer is None):
        folder.write_rows(table, fixture[table.name])
    blocks = rows // _BLOCK_ROWS
    execs = blocks // (2 if is_distinct else _EXECS)
    for name, count in (("tcp_connect", blocks - execs), ("exec", execs)):
        for start in range(0, count, _BLOCKS_A_SEGMENT):
            segment = folder.segment(TABLES[name])
            for _ in range(min(_BLOCKS_A_SEGMENT, count - start)):
                block = host.block(_BLOCK_ROWS)
                segment.write(columns.rows(TABLES[name], block), (int(block["ts_ns"][0]), int(block["ts_ns"][-1])))
            segment.finish()
            segment.seal()
    folder.close()
    return path


def _share(recording: Path, policy: str) -> dict[str, Any]:
    """Share a recording in a process of its own; return its speed and its peak memory."""
    output = recording.with_name("copy")
    told, seconds, used = run_verb("share", str(recording), "--output", str(output), "--policy", policy)
    rows = told["rows"]
    shutil.rmtree(output)
    figures = {
        "policy": policy,
        "rows": rows,
        "rows_a_second": rows / seconds,
        **used,
    }
    print(f"  {policy:9} {rows:>11,} rows  {figures['rows_a_second']:>10,.0f}/s  {figures['peak_bytes'] / 1e6:,.0f} MB")
    return figures


def measure() -> dict[str, Any]:
    """Share both recordings; the larger one several times, and under each policy."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".run-") as folder:
        large, small = make(Path(folder) / "large", ROWS), make(Path(folder) / "small", SMALL_ROWS)
        runs = [_share(large, "standard") for _ in range(_TRIES)]
        others = [_share(large, "minimal"), _share(large, "strict"), _share(small, "standard")]
        distinct = [_share(make(Path(folder) / f"distinct{rows}", rows, is_distinct=True), "standard") for rows in DISTINCT_ROWS]
    return {"rows_a_second": sorted(run["rows_a_second"] for run in runs)[_TRIES // 2], "runs": runs, "others": others, "distinct": distinct}
