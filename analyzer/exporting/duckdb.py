"""A DuckDB database with a table for each table of the recording; columns carry their meaning as comments."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.answer import ask
from analyzer.exporting._tables import select, tables
from analyzer.views import quoted
from recorder.schema import TABLES

if TYPE_CHECKING:
    import duckdb

    from analyzer.sandbox import Sandbox

DOC = "one DuckDB database, for SQL without the sandbox: your own functions, joins with your own data"
SUFFIX = ".duckdb"

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EFBIG)


def write(sandbox: Sandbox, target: Path) -> str:
    """Write the recording's tables into the database ``target``."""
    import duckdb

    try:
        return _write(sandbox, target)
    except duckdb.Error as error:  # of several kinds; it has the system's words, and not its number
        words = f"{error} {error.__context__ or ''}"  # closing what failed may fail once more
        number = next((number for number in _DISK_ERRORS if os.strerror(number) in words), None)
        if number is None and not isinstance(error, duckdb.IOException):
            raise
        raise OSError(number or errno.EIO, os.strerror(number or errno.EIO)) from None
    finally:
        target.with_name(f"{target.name}.wal").unlink(missing_ok=True)


def _write(sandbox: Sandbox, target: Path) -> str:
    import duckdb
    import pyarrow as pa

    rows, names = 0, tables(sandbox)
    with duckdb.connect(str(target), config={"python_enable_replacements": False}) as database:
        for table in names:
            arrow = ask(sandbox, select(table), {}, arrow=True).result.arrow
            assert arrow is not None
            database.register("rows_of_table", pa.RecordBatchReader.from_batches(arrow.schema, arrow.batches))
            database.execute(f"CREATE TABLE {table} AS SELECT * FROM rows_of_table")
            database.unregister("rows_of_table")
            rows += database.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            _comment(database, table)
    target.chmod(0o600)
    return f"{len(names)} tables, {rows:,} rows"


def _comment(database: duckdb.DuckDBPyConnection, table: str) -> None:
    if (described := TABLES.get(table)) is None:
        return
    there = {row[0] for row in database.execute(f"DESCRIBE {table}").fetchall()}
    docs = {f"TABLE {table}": described.row}
    for column in described.columns:
        if column.name in there:
            docs[f'COLUMN {table}."{column.name}"'] = column.doc + (f" ({column.unit})" if column.unit else "")
    database.execute("; ".join(f"COMMENT ON {what} IS {quoted(doc)}" for what, doc in docs.items()))
