"""Run a stranger's SQL over a stranger's recording: DuckDB, closed as far as its settings close it.

The allow-list of statement.py is the second layer; either has to hold alone, and the tests switch the other one off.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from analyzer import scratch
from analyzer.cut import Scope
from analyzer.derived import derived, derived_names
from analyzer.errors import AnalyzerError
from analyzer.limits import settings, spill_folder
from analyzer.macros import MACROS
from analyzer.recording import Recording, known_tables, reading
from analyzer.row_counts import check_rows
from analyzer.shared import refuse_networks
from analyzer.sql_error import damaged, error_of, execution_error
from analyzer.statement import Statement, check, not_a_select
from analyzer.store import PACK_SCHEME, FolderStore
from analyzer.views import Sources, files, sql_list, view_sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from analyzer.pack import PackStore
    from analyzer.result import Result
    from analyzer.window import Facts

TIMEOUT_S = 600.0
"""How long a statement may run unless the user says otherwise."""

_ABOUT = "SELECT recording_id, host, start_ns, end_ns, coalesce(clean_end, false), tracers, filters FROM recording"
_ARROW_ROWS = 10_000


@contextlib.contextmanager
def open_sandbox(recordings: Sequence[Recording], timeout_s: float = TIMEOUT_S, memory_bytes: float | None = None) -> Iterator[Sandbox]:
    """Open a sandbox over ``recordings`` and close it again, with the folder that large sorts spill into.

    ``timeout_s`` bounds each statement; 0 means no limit. ``memory_bytes`` is what it may use where that is not what a report may.
    """
    sandbox = Sandbox(recordings, timeout_s, memory_bytes)
    try:
        with reading(recordings):
            yield sandbox
    finally:
        sandbox.close()


class Sandbox:
    """One DuckDB connection that can read the files of some recordings and nothing else."""

    def __init__(self, recordings: Sequence[Recording], timeout_s: float, memory_bytes: float | None = None) -> None:
        import duckdb

        self.recordings = recordings
        self.timeout_s = timeout_s
        self.scope = Scope()
        self.facts: Facts | None = None  # window.py's, once it has read them
        self._views: set[str] = set()
        self._macros: set[str] = set()
        self._about: dict[str, tuple[Any, ...]] | None = None
        self._spill = spill_folder()
        self._connection = duckdb.connect(":memory:", config=settings(timeout_s, self._spill, memory_bytes))
        self._beside: duckdb.DuckDBPyConnection | None = None
        self._known = known_tables(recordings)
        self._open_folders: list[int] = []
        self._packs: dict[str, PackStore] = {}
        self._roots = {recording.id: self._root(recording) for recording in recordings}
        if self._packs:
            from analyzer.pack_files import PackedFiles

            self._connection.register_filesystem(PackedFiles(self._packs))
        allowed = [path for recording in recordings for table in recording.tables for path in files(recording, self._roots[recording.id], table)]
        self._connection.execute(
            # UTC: else a teammate in another time zone would get other hours from the same SQL.
            f"SET allowed_paths = {sql_list(allowed)}; SET TimeZone = 'UTC'; SET python_enable_replacements = false; "
            "SET parquet_metadata_cache = true; "
            "SET enable_progress_bar = true; SET enable_progress_bar_print = false; SET enable_external_access = false; SET lock_configuration = true"
        )

    def close(self) -> None:
        """Close the connection and remove what it spilled."""
        if self._packs:  # else it and the connection keep each other
            self._connection.unregister_filesystem(PACK_SCHEME)
        self._connection.close()
        self.remove_spilled()
        for folder in self._open_folders:
            os.close(folder)

    def narrow(self, scope: Scope) -> None:
        """Let all that is read from now on be narrowed to ``scope``, and leave out the recordings that it does not name."""
        self.scope = scope
        self.facts = None
        self.recordings = [recording for recording in self.recordings if recording.id in scope.cuts]
        for table in self._views:
            self._connection.execute(f"DROP VIEW {table}")
        self._views.clear()

    @contextlib.contextmanager
    def beside(self) -> Iterator[Sandbox]:
        """Yield the same sandbox on a connection of its own, whose statements run beside this one's, on another thread."""
        self.about()
        other = copy.copy(self)
        other._connection = self._connection.cursor()
        self._beside = other._connection
        try:
            yield other
        finally:
            self._beside = None
            other._connection.close()

    def interrupt(self) -> None:
        """Stop the statements that are running, from another thread."""
        import duckdb

        for connection in filter(None, (self._connection, self._beside)):
            with contextlib.suppress(duckdb.ConnectionException):  # closed just now
                connection.interrupt()

    def progress(self) -> float:
        """Return how far the statement is that runs, in percent, from another thread; below 0 where that is not known."""
        return float(self._connection.query_progress())

    def remove_spilled(self) -> None:
        """Remove the folder that large sorts spill into."""
        if self._spill:
            scratch.remove(self._spill)

    def _root(self, recording: Recording) -> str:
        """Return a path of the recording's folder that DuckDB does not take for a pattern: it has no way to quote one."""
        if not isinstance(recording.store, FolderStore):
            self._packs[recording.id] = cast("PackStore", recording.store)
            return f"{PACK_SCHEME}://{recording.id}"
        if not set("*?[") & set(str(recording.path)):
            return str(recording.path)
        self._open_folders.append(os.open(recording.path, os.O_PATH | os.O_DIRECTORY))
        return f"/proc/self/fd/{self._open_folders[-1]}"

    def prepare(self, sql: str, title: str) -> Statement:
        """Return what ``sql`` reads if it is one SELECT that may run; ``title`` names it in messages.

        Raises AnalyzerError for anything else, and where it asks what a shared copy cannot know.
        """
        import duckdb

        try:
            tree = self._run("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
        except duckdb.Error as error:
            raise execution_error(error, title, self.timeout_s) from None
        if tree.startswith('{"error":true'):
            raise not_a_select(sql, tree, title, self._connection.extract_statements)
        statement = check(sql, tree, self._known, title)
        if "in_cidr" in statement.macros:
            refuse_networks(self.recordings, title)
        return statement

    def execute(self, statement: Statement, title: str, parameters: Mapping[str, object] | None = None, arrow: bool = False) -> Result:
        """Run a statement that was prepared and return its columns and a stream of its rows, as Python objects or as Arrow has them.

        The stream ends when the sandbox runs its next statement. Raises AnalyzerError: 2 where the statement is at fault, 65 where a file of the
        recording is. So does the stream.
        """
        import duckdb

        self.view(statement.tables | statement.derived)
        if statement.counts:
            check_rows(self._run, self._sources(), statement.tables)
        for name in sorted(statement.macros - self._macros):  # made when called, since making them takes as long as a small report
            self._run(MACROS[name].definition)
            self._macros.add(name)
        try:
            result = (self._as_arrow if arrow else self._as_objects)(statement.sql, parameters, title)
        except duckdb.Error as error:
            raise self._meaning(error, title) from None
        for field in result.fields:
            if "WITH TIME ZONE" in field.type and field.type.startswith("TIMESTAMP"):
                raise AnalyzerError(f"{title}: column {field.name} has a time zone.", "Cast it: CAST(… AS TIMESTAMP), or AS VARCHAR.")
        return result

    # A cursor streams Python objects, and copies all rows before Arrow gets one; a relation is the other way round.

    def _as_objects(self, sql: str, parameters: Mapping[str, object] | None, title: str) -> Result:
        from analyzer.result import Field, Result

        cursor = self._run(sql, parameters)
        fields = tuple(Field(str(name), str(kind)) for name, kind, *_ in cursor.description or ())
        return Result(fields, self._batches(cursor, title))

    def _as_arrow(self, sql: str, parameters: Mapping[str, object] | None, title: str) -> Result:
        from analyzer.result import ArrowRows, Field, Result

        self._connection.abort()
        relation = self._connection.sql(sql, params=dict(parameters or {}))
        fields = tuple(Field(str(name), str(kind)) for name, kind in zip(relation.columns, relation.types, strict=True))
        reader = relation.to_arrow_reader(_ARROW_ROWS)
        return Result(fields, iter(()), ArrowRows(reader.schema, self._arrow_batches(reader, title)))

    def _run(self, sql: str, parameters: Mapping[str, object] | None = None) -> duckdb.DuckDBPyConnection:
        # DuckDB refuses a statement while the one before has rows left.
        self._connection.abort()
        return self._connection.execute(sql, dict(parameters or {}))

    def _batches(self, cursor: duckdb.DuckDBPyConnection, title: str) -> Iterator[list[tuple[Any, ...]]]:
        import duckdb

        try:
            while batch := cursor.fetchmany(1000):
                yield batch
        except duckdb.Error as error:
            raise self._meaning(error, title) from None

    def _arrow_batches(self, reader: pa.RecordBatchReader, title: str) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except OSError as error:  # Arrow has DuckDB's text, and not its type
            raise self._meaning(error_of(error), title) from None

    def rows(self, sql: str, tables: Sequence[str]) -> list[tuple[Any, ...]]:
        """Run one of the analyzer's own statements, which needs no check, over views of ``tables``, or over derived ones."""
        self.view(tables)
        return self._fetch(sql)

    def read(self, sql: str, table: str) -> list[tuple[Any, ...]]:
        """Run one of the analyzer's own SELECTs over one table, without a view of it: DuckDB would bind that twice."""
        return self._fetch(f"WITH {table} AS ({self._select(table, self._sources())}) {sql}")

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return self._run(sql).fetchall()
        except duckdb.Error as error:
            # The statement is sound: a value that it cannot take is a lie in the file.
            if isinstance(error, duckdb.DataError | duckdb.ProgrammingError):
                raise damaged(str(error)) from None
            raise self._meaning(error, "Reading the recording") from None

    def _meaning(self, error: duckdb.Error, title: str) -> AnalyzerError:
        import duckdb

        # Some of the Parquet reader's errors name the file, some are of the bare type Error and say only what Thrift found.
        ours = any(root + os.sep in str(error) for root in self._roots.values())
        if ours or type(error) in (duckdb.Error, duckdb.SerializationException):
            return damaged(str(error))
        return execution_error(error, title, self.timeout_s)

    def view(self, tables: Collection[str]) -> None:
        """Make the views that are not there yet, over ``tables`` or derived; raise AnalyzerError for a file that is not what its table is."""
        import duckdb

        views = {name: derived(name) for name in tables if name in derived_names()}
        read = set(tables).union(*(view.tables for view in views.values())) - set(views)
        for name in (*sorted(read - self._views), *sorted(set(views) - self._views)):
            try:
                self._run(f"CREATE VIEW {name} AS {views[name].sql if name in views else self._select(name, self._sources())}")
            except duckdb.Error as error:
                raise damaged(str(error)) from None
            self._views.add(name)

    def _select(self, table: str, sources: Sources) -> str:
        import duckdb

        try:
            return view_sql(table, sources, self._describe)
        except duckdb.Error as error:
            raise damaged(str(error)) from None

    def about(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the row of the table ``recording`` of each recording that has one, by its id: host and what window.py needs. It is read once."""
        if self._about is None:
            select = self._select("recording", Sources(self.recordings, self._roots, {}, self.scope.cuts))  # has no column for the host's name
            self._about = {row[0]: row[1:] for row in self._fetch(f"WITH recording AS ({select}) {_ABOUT}")}
        return self._about

    def _sources(self) -> Sources:
        hosts = {recording.id: recording.place.part.host if recording.place else self._host(recording) for recording in self.recordings}
        return Sources(self.recordings, self._roots, hosts, self.scope.cuts)

    def _host(self, recording: Recording) -> str | None:
        about = self.about().get(recording.id)
        return about[0] if about else None

    def _describe(self, file: str) -> dict[str, str]:
        cursor = self._run(f"SELECT * FROM read_parquet({sql_list([file])}) LIMIT 0")
        try:
            return {str(name): str(kind) for name, kind, *_ in cursor.description or ()}
        except (RuntimeError, UnicodeDecodeError):  # what DuckDB's Python says of a name that is not UTF-8, or of one in a nested type
            raise damaged("a column's name is not UTF-8") from None
