"""Say what is wrong with somebody's SQL, with the line of their own text and a caret under the place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError, Exit
from analyzer.text import printable

if TYPE_CHECKING:
    import duckdb

_LINE = re.compile(r"\n(LINE (\d+): )([^\n]*)\n( *)\^")
_KIND = re.compile(r"\A[A-Za-z -]{1,40} Error: ")
_EXCERPT_CHARACTERS = 100


def near(name: str, names: Iterable[str], least: float = 0.6) -> str:
    """Return a question that names what is spelled nearly like ``name``, or an empty text; ``least`` is how alike, up to 1."""
    found = difflib.get_close_matches(name, list(names), n=3, cutoff=least)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def excerpt(sql: bytes, offset: int | None, title: str) -> tuple[str, str]:
    """Return ``TITLE:LINE`` and that line with a caret below the byte ``offset``; only the title where the place is unknown."""
    if offset is None or offset >= len(sql):
        return title, ""
    start = sql.rfind(b"\n", 0, offset) + 1
    end = sql.find(b"\n", offset)
    before = sql[start:offset].decode(errors="replace")
    after = sql[offset : end if end >= 0 else len(sql)].decode(errors="replace")
    line = sql.count(b"\n", 0, offset) + 1
    return f"{title}:{line}", _caret(before, after)


def _caret(before: str, after: str) -> str:
    # Long lines lose their ends, not the place; what is shown has no control characters, tabs included.
    left, right = printable(before), printable(after)
    left = left if len(left) <= _EXCERPT_CHARACTERS else "…" + left[-_EXCERPT_CHARACTERS:]
    right = right if len(right) <= _EXCERPT_CHARACTERS else right[:_EXCERPT_CHARACTERS] + "…"
    return f"    {left}{right}\n    {' ' * len(left)}^"


def syntax_error(sql: str, tree: dict[str, object], title: str) -> AnalyzerError:
    """Return the error for a text that DuckDB's parser refused; ``tree`` is json_serialize_sql's answer."""
    where, lines = excerpt(sql.encode(), int(str(tree.get("position", -1))) if "position" in tree else None, title)
    return AnalyzerError(f"{where}: {printable(str(tree['error_message']))}.", excerpt=lines)


def execution_error(error: duckdb.Error, title: str, timeout_s: float) -> AnalyzerError:
    """Return what ``error``, raised while the statement called ``title`` was bound or run, means to its author."""
    import duckdb

    text = str(error)
    if isinstance(error, duckdb.InterruptException):
        return timed_out(title, timeout_s)
    if isinstance(error, duckdb.OutOfMemoryException):
        return out_of_memory(title)
    if isinstance(error, duckdb.OperationalError):
        return AnalyzerError(f"{title}: {_first_line(text)}", "Is the disk that holds $TMPDIR full?", Exit.IO)
    match = _LINE.search(text)
    message, _, rest = _KIND.sub("", text[: match.start()] if match else text).partition("\n")
    where, lines = title, ""
    if match:
        column = len(match[4]) - len(match[1])
        where, lines = f"{title}:{match[2]}", _caret(match[3][:column], match[3][column:])
    return AnalyzerError(f"{where}: {printable(message)}", " ".join(printable(line) for line in rest.splitlines() if line), excerpt=lines)


def error_of(error: OSError) -> duckdb.Error:
    """Return the DuckDB error that Arrow wrapped: the text is all that it keeps of one."""
    import duckdb

    text = str(error)
    kinds = {"INTERRUPT": duckdb.InterruptException, "Out of Memory": duckdb.OutOfMemoryException, "IO": duckdb.IOException}
    return kinds.get(text.partition(" Error:")[0], duckdb.InvalidInputException)(text)


def out_of_memory(title: str) -> AnalyzerError:
    """Return the error for a statement that wanted more memory than it may have."""
    return AnalyzerError(f"{title} needs more memory than a report may take.", "Aggregate earlier, select fewer columns, or add a LIMIT.")


def timed_out(title: str, timeout_s: float) -> AnalyzerError:
    """Return the error for a statement that ran longer than ``timeout_s`` seconds."""
    return AnalyzerError(f"{title} was stopped after {timeout_s:g} s.", "Let it read less, or give it longer: --timeout SECONDS (0: no limit).")


def _first_line(text: str) -> str:
    return printable(_KIND.sub("", text.partition("\n")[0]))


def damaged(why: str) -> AnalyzerError:
    """Return the error for a file of a recording that DuckDB cannot read; ``why`` is what it says."""
    message = f"A file of the recording is damaged: {_first_line(why)}"
    return AnalyzerError(message, "Copy the recording again from where it was made.", Exit.RECORDING)
