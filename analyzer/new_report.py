"""Write a report to start from: a SELECT that runs as it is, under a header that is true of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.report import bundled_names
from analyzer.schema import table
from recorder.schema import TASK, TS, Column, Table

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PROCESS = ("pid", "start_ns")
_CONTEXT = ("pid_ns", "cgroup_id")
_GROUPS = {"clone": "Processes", "tcp": "TCP", "container": "Containers", "xdp": "XDP"}
_WIDTH = 150


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the SELECT: its expression, and what the header says of it."""

    sql: str
    name: str
    unit: str
    doc: str


def write(name: str, tables: Sequence[str]) -> Path:
    """Write ``NAME.sql`` into this folder, over rows of ``tables``, and return its path.

    Raises AnalyzerError: 2 for a name that is none or taken and for tables that cannot be joined, 73 where the file is there or cannot be made.
    """
    if not _NAME.fullmatch(name):
        hint = "Lower-case letters, digits and _, beginning with a letter. The file is made in this folder."
        raise AnalyzerError(f"{name!r} is no name of a report.", hint)
    if name in bundled_names() and not Path("queries", f"{name}.sql").is_file():
        raise AnalyzerError(f"{name} is a bundled report: analyze {name} would go on running that one.", "Choose another name.")
    path = Path(f"{name}.sql")
    text = draft(name, tables)
    try:
        with path.open("x", encoding="utf-8") as file:  # never through a link, never over a file
            file.write(text)
    except FileExistsError:
        raise AnalyzerError(f"{path} is there already.", "Choose another name, or move it away.", Exit.OUTPUT) from None
    except OSError as error:
        raise AnalyzerError(f"{path} cannot be made: {error.strerror}.", "Go to a folder that you may write.", Exit.OUTPUT) from None
    return path


def draft(name: str, tables: Sequence[str]) -> str:
    """Return the text of a report over ``tables``: the first one's rows, with what the others have of the same process."""
    from analyzer.sandbox import open_sandbox

    if not tables:
        raise AnalyzerError("Over which tables is the report to be?", "All of them: bpftape schema")
    first, *others = [table(item) for item in dict.fromkeys(tables)]
    others = [item for item in others if item.name != "recording"]
    joins = [_join(first, other) for other in others]
    with open_sandbox([]) as sandbox:
        reserved = {row[0] for row in sandbox.rows("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'", [])}
        columns = list(_columns(first, others, reserved))
        if first.name != "recording":
            joins.append(f"LEFT JOIN recording ON recording.recording_id = {first.name}.recording_id")
        sql = _select(first, columns, joins, reserved)
        types = [field.type for field in sandbox.execute(sandbox.prepare(sql, name), name).fields]
    return "\n".join([*_header(name, first, others, columns, types), sql]) + "\n"


def _has(of: Table, names: Sequence[str]) -> bool:
    return set(names) <= {column.name for column in of.columns}


def _join(first: Table, other: Table) -> str:
    key = _CONTEXT if other.name == "container" else _PROCESS
    if not (_has(first, key) and _has(other, key)):
        message = f"Rows of {first.name} and {other.name} have nothing in common but the recording: no process that both name."
        raise AnalyzerError(message, f"Begin with one of them: --tables {first.name}; the columns of each: bpftape schema TABLE")
    return f"LEFT JOIN {other.name} ON " + " AND ".join(f"{other.name}.{part} = {first.name}.{part}" for part in ("recording_id", *key))


def _columns(first: Table, others: Sequence[Table], reserved: set[str]) -> Iterator[_Column]:
    """Yield when it was, which process, what the tables have of their own, and last the keys that other rows are joined by."""
    if first.time:
        yield _Column(f"round(({first.name}.{first.time} - recording.start_ns) / 1e9, 3)", "at_s", "s", "time, from the start of the recording")
    has_process = _has(first, _PROCESS)
    seen = {"at_s", "recording_id"} | ({"start_ns"} if has_process else set())
    for of in (first, *others):
        for column in _shown(of, of is first):
            name = column.name if column.name not in seen else f"{of.name}_{column.name}"
            seen.add(name)
            yield _Column(f"{of.name}.{_quoted(column.name, reserved)}", name, column.unit or "-", column.doc)
    if has_process:
        yield _Column(f"{first.name}.start_ns", "start_ns", "ns", "birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key")
    yield _Column(f"{first.name}.recording_id", "recording_id", "-", "recording")


def _shown(of: Table, is_first: bool) -> list[Column]:
    """Return the columns of a table without its time, and of those of the task only what tells the first table's processes apart."""
    hidden = {of.time, *(column.name for column in TS)}
    if _has(of, _PROCESS):
        hidden |= {column.name for column in TASK} - ({"pid", "comm"} if is_first else set())
    return [column for column in of.columns if column.name not in hidden]


def _quoted(name: str, reserved: set[str]) -> str:
    return f'"{name}"' if name in reserved else name


def _select(first: Table, columns: Sequence[_Column], joins: Sequence[str], reserved: set[str]) -> str:
    listed = []
    for column in columns:
        name = _quoted(column.name, reserved)
        listed.append(f"    {column.sql}" + ("" if column.sql.endswith(f".{name}") else f" AS {name}"))
    # Rows that are alike in every column that is shown may stand in any order.
    keys = [f"{first.name}.recording_id", *([f"{first.name}.{first.time}"] if first.time else [])]
    keys += [column.sql for column in columns if column.sql not in keys and column.name != "at_s"]
    order = textwrap.wrap("ORDER BY " + ", ".join(keys), _WIDTH, subsequent_indent="    ", break_long_words=False)
    return "\n".join(["SELECT", ",\n".join(listed), f"FROM {first.name}", *joins, *order])


def _header(name: str, first: Table, others: Sequence[Table], columns: Sequence[_Column], types: Sequence[str]) -> list[str]:
    tables = [first.name, *(other.name for other in others), *(["recording"] if first.name != "recording" else [])]
    with_others = f", and what do {' and '.join(other.name for other in others)} say of the same process" if others else ""
    widths = [max(map(len, part)) for part in ([c.name for c in columns], types, [c.unit for c in columns])]
    caveats = "Where events were lost, rows are fewer than what happened."
    if others:
        caveats += f" A row of {first.name} is there once for each row that it is joined with."
    return [
        f"-- {name.replace('_', ' ').capitalize()}: say in a line what it shows",
        "--",
        f"-- Group: {_GROUPS.get(first.tracer or '', 'Recording')}",
        f"-- Question: Which rows of {first.name} are there, in the order of time{with_others}?",
        f"-- Tables: {', '.join(tables)}",
        "-- Columns:",
        *(
            f"--   {column.name:<{widths[0]}}  {kind:<{widths[1]}}  {column.unit:<{widths[2]}}  {column.doc}"
            for column, kind in zip(columns, types, strict=True)
        ),
        "-- Parameters: none",
        f"-- Caveats: {caveats}",
    ]
