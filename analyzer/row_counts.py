"""Hold the rows that footers claim against those that the manifest says were written.

DuckDB takes a count of rows from footers, where no value is asked for, and a footer may say anything: of values it notices when there are others than
rows. Where the manifest lies as well, only ``bpftape verify`` can tell, which reads every byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from analyzer.manifest import damaged as damaged_recording
from analyzer.sql_error import damaged
from analyzer.views import Sources, files, sql_list

if TYPE_CHECKING:
    import duckdb


def check_rows(run: Callable[[str], duckdb.DuckDBPyConnection], sources: Sources, tables: Iterable[str]) -> None:
    """Raise AnalyzerError (65) where files of ``tables`` claim other rows than were written. Takes 0.5 ms a table, and 0.1 ms a file of many."""
    wanted = [(recording, table) for table in sorted(tables) for recording in sources.recordings if table in recording.tables]
    if not wanted:
        return
    lists = (sql_list(files(recording, sources.roots[recording.id], table)) for recording, table in wanted)
    claimed = _fetched(run, "SELECT " + ", ".join(f"(SELECT count(*) FROM read_parquet({paths}))" for paths in lists))
    for (recording, table), rows in zip(wanted, claimed, strict=True):
        written = sum(segment.rows for segment in recording.tables[table])
        if rows != written:
            raise damaged_recording(recording.store.shown, f"files of {table} claim {rows:,} rows where the manifest says {written:,}")


def _fetched(run: Callable[[str], duckdb.DuckDBPyConnection], sql: str) -> tuple[int, ...]:
    import duckdb

    try:
        (row,) = run(sql).fetchall()
    except duckdb.Error as error:
        raise damaged(str(error)) from None
    return tuple(row)
