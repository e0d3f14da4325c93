"""Views that are derived from tables (``queries/views/``): what several reports would find out alike, said once, and read as tables are.

Each is one SELECT under a header, made in the sandbox when a statement names it, over the views of the tables: whatever narrows, merges or shifts
these holds for it, too. What a result rests on are the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from analyzer.header import Column, read_header
from analyzer.report import queries_folder


@dataclass(frozen=True, slots=True)
class Derived:
    """One view: its name, what a row of it is, the tables that it reads, its columns, what to know of it, and its SELECT."""

    name: str
    row: str
    tables: tuple[str, ...]
    columns: tuple[Column, ...]
    caveats: str
    sql: str


@cache
def derived_names() -> tuple[str, ...]:
    """Return the names of all of them, sorted."""
    return tuple(sorted(path.stem for path in (queries_folder() / "views").glob("*.sql")))


@cache
def derived(name: str) -> Derived:
    """Return the one called ``name``, which is one of derived_names()."""
    sql = (queries_folder() / "views" / f"{name}.sql").read_text(encoding="utf-8")
    header = read_header(sql)
    assert header is not None, "tests hold it against what the view is"
    return Derived(name, header.title, header.tables, header.columns, header.caveats, sql)
