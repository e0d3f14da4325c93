"""How results are written: one module a format, each with ``write(result, out, width)``. The folder is the list of formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO, cast


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result: its name and DuckDB's name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Result:
    """A result: its columns, and its rows in batches as DuckDB makes them. The batches can be read once."""

    fields: tuple[Field, ...]
    batches: Iterator[list[tuple[Any, ...]]]


class Writer(Protocol):
    """What each module of this package is."""

    def write(self, result: Result, out: TextIO, width: int | None) -> int:
        """Write ``result`` to ``out`` and return its number of rows.

        ``width`` is that of the terminal in columns; None when ``out`` is none, and data must be written as they are.
        """


def formats() -> list[str]:
    """Return the names of all formats."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def writer(name: str) -> Writer:
    """Return the module for the format called ``name``."""
    return cast("Writer", import_module(f"analyzer.render.{name}"))
