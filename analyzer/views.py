"""The views that reports read: for each table one SELECT over the files of all recordings, with the same columns in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from analyzer.cut import WHOLE, Cut
from analyzer.errors import AnalyzerError, Exit
from analyzer.recording import Recording
from analyzer.schema import SQL_TYPES
from recorder.schema import TABLES, Column

Describe = Callable[[str], Mapping[str, str]]
"""Gives the columns of the Parquet file at a path: name to DuckDB's type."""


def files(recording: Recording, root: str, table: str) -> list[str]:
    """Return the paths of a table's files, with ``root`` as that of the recording."""
    return [f"{root}/{table}/{segment.path.name}" for segment in recording.tables.get(table, ())]


def view_sql(table: str, recordings: Sequence[Recording], roots: Mapping[str, str], describe: Describe, cuts: Mapping[str, Cut]) -> str:
    """Return a SELECT of one list of columns from each recording: the schema's, then what newer recorders added, then recording_id.

    ``roots`` has the path of each recording's folder by its id, ``cuts`` what of it is asked about where that is not all. Raises AnalyzerError
    for a file that is not what its table is.
    """
    parts = [(recording, _columns(recording, roots[recording.id], table, describe)) for recording in recordings if table in recording.tables]
    columns = {column.name: SQL_TYPES[column.type] for column in TABLES[table].columns} if table in TABLES else {}
    for _, found in parts:
        columns = {**found, **columns}
    selects = []
    for recording, found in parts:
        listed = [_name(name) if name in found else f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in columns.items()]
        paths = sql_list(files(recording, roots[recording.id], table))
        where = cuts.get(recording.id, WHOLE).where(table, found)
        selects.append(f"SELECT {', '.join(listed)}, {quoted(recording.id)} AS recording_id FROM read_parquet({paths}){where}")
    if not selects:
        listed = [f"CAST(NULL AS {kind}) AS {_name(name)}" for name, kind in (*columns.items(), ("recording_id", "VARCHAR"))]
        selects.append(f"SELECT {', '.join(listed)} WHERE false")
    return " UNION ALL ".join(selects)


def _columns(recording: Recording, root: str, table: str, describe: Describe) -> Mapping[str, str]:
    """Return the columns of a table's first file, name to type, once they agree with the schema."""
    found = describe(files(recording, root, table)[0])
    wrong = [column.name for column in _declared(table) if not _agrees(column, found.get(column.name))]
    if "recording_id" in found:  # it would stand for the id that the views add
        wrong.append("recording_id")
    if wrong:
        where = f"{recording.name}/{table}/{recording.tables[table][0].path.name}"
        raise AnalyzerError(
            f"{where} is not a table of a recording: wrong or missing column {', '.join(wrong)}.",
            "Copy the recording again from where it was made.",
            Exit.RECORDING,
        )
    return found


def _declared(table: str) -> Sequence[Column]:
    return TABLES[table].columns if table in TABLES else ()


def _agrees(column: Column, kind: str | None) -> bool:
    # Nullable columns may have been added since; no column is ever retyped within a format.
    return column.nullable if kind is None else kind == SQL_TYPES[column.type]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """Return ``text`` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_list(texts: Sequence[str]) -> str:
    """Return ``texts`` as a list literal of SQL."""
    return "[" + ",".join(map(quoted, texts)) + "]"
