"""The views that reports read: for each table one SELECT over the files of all recordings, with the same columns in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from analyzer.cut import WHOLE, Cut
from analyzer.errors import AnalyzerError, Exit
from analyzer.merged import Source
from analyzer.recording import Recording
from analyzer.schema import SQL_TYPES, added
from recorder.schema import TABLES, Clock, Column

Describe = Callable[[str], Mapping[str, str]]
"""Gives the columns of the Parquet file at a path: name to DuckDB's type."""

# Of tables that only newer recorders know: what every event has.
_CLOCKS = {("ts_ns", "BIGINT"): Clock.BOOTTIME, ("ts", "TIMESTAMP"): Clock.WALL}


def files(recording: Recording, root: str, table: str) -> list[str]:
    """Return the paths of a table's files, with ``root`` as that of the recording."""
    return [f"{root}/{table}/{segment.path.name}" for segment in recording.tables.get(table, ())]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where rows come from. By its id, ``roots`` has the path of a recording's folder, ``hosts`` its host, ``cuts`` what is asked about."""

    recordings: Sequence[Recording]
    roots: Mapping[str, str]
    hosts: Mapping[str, str | None]
    cuts: Mapping[str, Cut]


def view_sql(table: str, sources: Sources, describe: Describe) -> str:
    """Return a SELECT of one list of columns from each recording: the schema's, then what newer recorders added, then those that the analyzer adds.

    Times of recordings that were merged are those of their time line. Raises AnalyzerError for a file that is not what its table is.
    """
    recordings, roots = sources.recordings, sources.roots
    parts = [(recording, *_columns(recording, roots[recording.id], table, describe)) for recording in recordings if table in recording.tables]
    columns = {column.name: SQL_TYPES[column.type] for column in TABLES[table].columns} if table in TABLES else {}
    for _, found, _ in parts:
        columns = {**found, **columns}
    selects = []
    for recording, found, is_mixed in parts:
        listed = [_read(recording, table, name, kind) if name in found else _null(name, kind) for name, kind in columns.items()]
        listed += [f"{value} AS {name}" for name, value in _added(table, recording, sources.hosts.get(recording.id)).items()]
        paths = sql_list(files(recording, roots[recording.id], table)) + (", union_by_name = true" if is_mixed else "")
        where = sources.cuts.get(recording.id, WHOLE).shifted(-recording.shift_ns).where(table, found)
        selects.append(f"SELECT {', '.join(listed)} FROM read_parquet({paths}){where}")
    if not selects:
        listed = [_null(name, kind) for name, kind in (*columns.items(), *((column.name, SQL_TYPES[column.type]) for column in added(table)))]
        selects.append(f"SELECT {', '.join(listed)} WHERE false")
    return " UNION ALL ".join(selects)


def _null(name: str, kind: str) -> str:
    return f"CAST(NULL AS {kind}) AS {_name(name)}"


def _read(recording: Recording, table: str, name: str, kind: str) -> str:
    """Return a column as its file has it, or shifted where it is a time and the recording's clock is not that of the time line."""
    if recording.place is None:
        return _name(name)
    clock = {column.name: column.clock for column in TABLES[table].columns}.get(name) if table in TABLES else _CLOCKS.get((name, kind))
    shift_ns = {None: 0, Clock.BOOTTIME: recording.place.part.shift_ns, Clock.WALL: recording.place.part.wall_shift_ns}[clock]
    if not shift_ns:
        return _name(name)
    shift = f"to_microseconds({shift_ns // 1000:d})" if kind == "TIMESTAMP" else f"{shift_ns:d}"
    return f"{_name(name)} + {shift} AS {_name(name)}"


def _added(table: str, recording: Recording, host: str | None) -> dict[str, str]:
    """Return the columns that no file has, by their names: SQL. What a stranger calls a host becomes SQL in letters and digits alone."""
    own = {"recording_id": quoted(recording.id)}
    if table != "recording":
        return {"host": f"decode(unhex('{host.encode(errors='replace').hex()}'))" if host else "CAST(NULL AS VARCHAR)"} | own
    place = recording.place
    timeline, source = (place.timeline, place.part.source) if place else (recording.id, Source.ITSELF)
    numbers = {"shift_ns": recording.shift_ns, "bound_ns": place.part.bound_ns if place else 0}
    cast = {name: f"CAST({number:d} AS BIGINT)" for name, number in numbers.items()}
    return {"timeline_id": quoted(timeline), **cast, "clock_source": quoted(source.value)} | own


def _columns(recording: Recording, root: str, table: str, describe: Describe) -> tuple[Mapping[str, str], bool]:
    """Return a table's columns, name to type, once they agree with the schema, and whether not all of its files have them.

    They are those of its first file, and of its last, where a newer version has recovered what an older one recorded.
    """
    paths = files(recording, root, table)
    found = describe(paths[0])
    is_old = len(paths) > 1 and any(column.name not in found for column in _declared(table))
    newer = {name: kind for name, kind in describe(paths[-1]).items() if name not in found} if is_old else {}
    found = {**found, **newer}
    wrong = [column.name for column in _declared(table) if not _agrees(column, found.get(column.name))]
    wrong += [column.name for column in added(table) if column.name in found]  # it would stand for what the views add
    if wrong:
        where = f"{recording.name}/{table}/{recording.tables[table][0].path.name}"
        raise AnalyzerError(
            f"{where} is not a table of a recording: wrong or missing column {', '.join(wrong)}.",
            "Copy the recording again from where it was made.",
            Exit.RECORDING,
        )
    return found, bool(newer)


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
