"""The four questions about 10,000,000 connects, as each engine answers them: by `analyze`, by DuckDB without it, and by its peers.

usage: python -m benchmarks.report_peers ENGINE RECORDING

Prints one JSON object: for each question its seconds, CPU seconds and the answer; the most memory, and how long it took to get ready. Imports are
not in the time, reading the files is. Every engine aggregates connects by process before it joins these with their programs, and reads only
the columns that it needs.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Rows = list[tuple[Any, ...]]
Ask = Callable[[str], Rows]

QUESTIONS = ("talkers", "destinations", "rate", "programs")
SECOND_NS = 1_000_000_000
TALKERS = 20

# {connects} and {processes} are the two tables, as the engine names them.
_SQL = {
    "talkers": """SELECT comm, daddr, count(*) AS connects, {failed} AS failed, sum(latency_ns) AS latency_ns FROM {connects}
        GROUP BY comm, daddr ORDER BY connects DESC, comm, daddr LIMIT 20""",
    "destinations": "SELECT daddr, count(*) AS connects, {quantiles} FROM {connects} WHERE latency_ns IS NOT NULL GROUP BY daddr ORDER BY daddr",
    "rate": "SELECT {second} AS second, count(*) AS connects, {failed} AS failed FROM {connects} GROUP BY {second} ORDER BY 1",
    "programs": """WITH counts AS (SELECT pid, start_ns, count(*) AS connects, {failed} AS failed FROM {connects} GROUP BY pid, start_ns)
        SELECT p.exe, sum(c.connects) AS connects, sum(c.failed) AS failed FROM counts c
        JOIN {processes} p ON p.pid = c.pid AND p.start_ns = c.start_ns GROUP BY p.exe ORDER BY 2 DESC, 1""",
}
_FAILED = "sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END)"
_DUCKDB = {"failed": _FAILED, "quantiles": "quantile_cont(latency_ns, [0.5, 0.99]) AS quantiles", "second": "ts_ns // 1000000000"}


def _files(recording: Path, table: str) -> str:
    return f"{recording}/{table}/*.parquet"


def duckdb(recording: Path) -> Ask:
    """Answer by hand-written SQL over the files: no views, no checks, no sandbox."""
    import duckdb

    tables = {"connects": f"read_parquet('{_files(recording, 'tcp_connect')}')", "processes": f"read_parquet('{_files(recording, 'process')}')"}

    def ask(question: str) -> Rows:
        with duckdb.connect() as connection:
            return connection.execute(_SQL[question].format(**_DUCKDB, **tables)).fetchall()

    return ask


def analyze(recording: Path) -> Ask:
    """Answer as ``analyze --sql … --format csv`` does, from opening the recording to the line about coverage."""
    import duckdb  # noqa: F401 - as for the engine above, importing it is not what is measured

    from analyzer.run import Request, run

    def ask(question: str) -> Rows:
        sql = _SQL[question].format(**_DUCKDB, connects="tcp_connect", processes="process")
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as said:
            run(Request([str(recording)], sql, "csv", None, [], "0"))
        assert said.getvalue().startswith("coverage: complete"), said.getvalue()
        return [tuple(row) for row in csv.reader(io.StringIO(out.getvalue()))][1:]

    return ask


def polars(recording: Path) -> Ask:
    """Answer by polars' lazy frames."""
    import polars as pl

    connects, processes = (pl.scan_parquet(_files(recording, table)) for table in ("tcp_connect", "process"))
    failed = (pl.col("outcome") == "failed").sum().alias("failed")
    latency = pl.col("latency_ns")
    by_process = connects.group_by("pid", "start_ns").agg(pl.len().alias("connects"), failed)
    plans = {
        "talkers": connects.group_by("comm", "daddr")
        .agg(pl.len().alias("connects"), failed, latency.sum())
        .with_columns(pl.col("comm").cast(pl.String), pl.col("daddr").cast(pl.String))
        .sort("connects", "comm", "daddr", descending=[True, False, False])
        .head(TALKERS),
        "destinations": connects.filter(latency.is_not_null())
        .group_by("daddr")
        .agg(pl.len(), latency.quantile(0.5, "linear").alias("p50"), latency.quantile(0.99, "linear").alias("p99"))
        .with_columns(pl.col("daddr").cast(pl.String))
        .sort("daddr"),
        "rate": connects.group_by((pl.col("ts_ns") // SECOND_NS).alias("second")).agg(pl.len(), failed).sort("second"),
        "programs": by_process.join(processes, on=["pid", "start_ns"])
        .group_by("exe")
        .agg(pl.col("connects").sum(), pl.col("failed").sum())
        .sort("connects", "exe", descending=[True, False]),
    }
    return lambda question: plans[question].collect().rows()


def chdb(recording: Path) -> Ask:
    """Answer by ClickHouse's SQL in this process."""
    import chdb

    tables = {name: f"file('{_files(recording, table)}', Parquet)" for name, table in (("connects", "tcp_connect"), ("processes", "process"))}
    words = {
        "failed": "countIf(outcome = 'failed')",
        "quantiles": "quantilesExactInclusive(0.5, 0.99)(latency_ns)",
        "second": "intDiv(ts_ns, 1000000000)",
    }

    def ask(question: str) -> Rows:
        # Whole numbers of 64 bits come as text unless they are asked for as numbers.
        text = str(chdb.query(_SQL[question].format(**words, **tables), "JSONCompact"))
        return [tuple(row) for row in json.loads(text)["data"]]

    return ask


def datafusion(recording: Path) -> Ask:
    """Answer by DataFusion's SQL."""
    from datafusion import SessionContext

    context = SessionContext()
    context.register_parquet("tcp_connect", f"{recording}/tcp_connect")
    context.register_parquet("process", f"{recording}/process")
    quantiles = ", ".join(f"percentile_cont({part}) WITHIN GROUP (ORDER BY latency_ns) AS p{part * 100:.0f}" for part in (0.5, 0.99))
    words = {"failed": _FAILED, "quantiles": quantiles, "second": "ts_ns / 1000000000", "connects": "tcp_connect", "processes": "process"}

    def ask(question: str) -> Rows:
        table = context.sql(_SQL[question].format(**words)).to_arrow_table()
        return [tuple(row.values()) for row in table.to_pylist()]

    return ask


def pandas(recording: Path) -> Ask:
    """Answer by pandas, with text as categories, which the files have already."""
    import pandas as pd

    def read(table: str, *columns: str) -> Any:
        return pd.read_parquet(f"{recording}/{table}", columns=list(columns))

    def ask(question: str) -> Rows:
        if question == "talkers":
            frame = read("tcp_connect", "comm", "daddr", "outcome", "latency_ns")
            frame["failed"] = frame["outcome"] == "failed"
            found = frame.groupby(["comm", "daddr"], observed=True).agg(
                connects=("failed", "size"), failed=("failed", "sum"), latency_ns=("latency_ns", "sum")
            )
            found = found.reset_index().astype({"comm": str, "daddr": str})
            found = found.sort_values(["connects", "comm", "daddr"], ascending=[False, True, True]).head(TALKERS)
        elif question == "destinations":
            grouped = read("tcp_connect", "daddr", "latency_ns").dropna().groupby("daddr", observed=True)["latency_ns"]
            quantiles = grouped.quantile([0.5, 0.99]).unstack()
            found = pd.concat([grouped.size(), quantiles], axis=1).reset_index().astype({"daddr": str}).sort_values("daddr")
        elif question == "rate":
            frame = read("tcp_connect", "ts_ns", "outcome")
            failed = frame["outcome"] == "failed"
            found = failed.groupby(frame["ts_ns"] // SECOND_NS).agg(["size", "sum"]).reset_index().sort_values("ts_ns")
        else:
            frame = read("tcp_connect", "pid", "start_ns", "outcome")
            frame["failed"] = frame["outcome"] == "failed"
            counts = frame.groupby(["pid", "start_ns"])["failed"].agg(["size", "sum"]).reset_index()
            joined = counts.merge(read("process", "pid", "start_ns", "exe"), on=["pid", "start_ns"])
            found = joined.groupby("exe")[["size", "sum"]].sum().reset_index().sort_values(["size", "exe"], ascending=[False, True])
        return list(found.itertuples(index=False, name=None))

    return ask


def sqlite(recording: Path) -> Ask:
    """Answer by SQLite, into which the columns that are asked for were loaded before: that is not in the time."""
    import sqlite3

    import pyarrow.parquet as pq

    folder = tempfile.TemporaryDirectory(prefix="bpftape-bench-")
    connection = sqlite3.connect(f"{folder.name}/rows.db")
    connection.execute("PRAGMA journal_mode = off")
    columns = {"tcp_connect": ("ts_ns", "pid", "start_ns", "comm", "daddr", "latency_ns", "outcome"), "process": ("pid", "start_ns", "exe")}
    for table, names in columns.items():
        connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        for path in sorted((recording / table).glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(columns=list(names)):
                rows: Iterable[tuple[Any, ...]] = zip(*(column.to_pylist() for column in batch.columns), strict=True)
                connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", rows)
    connection.commit()
    # It has no quantiles: of the rows in order, the two beside the place, weighted as the others do it.
    destinations = """WITH known AS (
            SELECT daddr, latency_ns, row_number() OVER (PARTITION BY daddr ORDER BY latency_ns) - 1 AS place,
                count(*) OVER (PARTITION BY daddr) - 1 AS last
            FROM tcp_connect WHERE latency_ns IS NOT NULL)
        SELECT daddr, count(*), sum(latency_ns * max(0, 1 - abs(place - 0.5 * last))), sum(latency_ns * max(0, 1 - abs(place - 0.99 * last)))
        FROM known GROUP BY daddr ORDER BY daddr"""
    words = {"failed": _FAILED, "quantiles": "", "second": "ts_ns / 1000000000", "connects": "tcp_connect", "processes": "process"}

    def ask(question: str) -> Rows:
        assert folder.name  # lives as long as this function
        return connection.execute(destinations if question == "destinations" else _SQL[question].format(**words)).fetchall()

    return ask


ENGINES: dict[str, Callable[[Path], Ask]] = {engine.__name__: engine for engine in (duckdb, analyze, polars, chdb, datafusion, pandas, sqlite)}


def _plain(value: Any) -> list[Any]:
    """Return a value of an answer as text and numbers; a list of quantiles as so many of them."""
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        return [float(item) for item in value]
    try:
        return [float(value)]
    except ValueError:
        return [str(value)]


def main() -> None:
    """Answer each question once, and print how long that took and what came out."""
    engine, recording = sys.argv[1], Path(sys.argv[2])
    status = os.open("/proc/self/status", os.O_RDONLY)  # analyze lets its process open nothing more
    begin = time.perf_counter()
    ask = ENGINES[engine](recording)
    ready_s = time.perf_counter() - begin
    questions = {}
    for question in QUESTIONS:
        begin, before = time.perf_counter(), time.process_time()
        rows = ask(question)
        seconds, cpu_s = time.perf_counter() - begin, time.process_time() - before
        questions[question] = {"seconds": seconds, "cpu_s": cpu_s, "answer": [[part for value in row for part in _plain(value)] for row in rows]}
    # ru_maxrss would be the parent's where that is larger.
    peak_bytes = int(re.findall(r"VmHWM:\s+(\d+) kB", os.read(status, 4096).decode())[0]) * 1024
    json.dump({"ready_s": ready_s, "peak_bytes": peak_bytes, "questions": questions}, sys.stdout)


if __name__ == "__main__":
    main()
