"""What a statement gives: columns, and rows as DuckDB makes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))")


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a result: its name and DuckDB's name of its type."""

    name: str
    type: str

    @property
    def is_number(self) -> bool:
        """Say whether its values are numbers."""
        return _NUMBER.fullmatch(self.type) is not None


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows as Arrow has them. The batches can be read once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Result:
    """A result: its columns, and its rows in batches of up to 1000, as Python objects. The batches can be read once.

    Where the rows were asked for as Arrow has them they are in ``arrow``, and ``batches`` gives none.
    """

    fields: tuple[Field, ...]
    batches: Iterator[list[tuple[Any, ...]]]
    arrow: ArrowRows | None = None

    def renamed(self, column: str, heading: str, values: Mapping[Any, Any]) -> Result:
        """Return the same with another name of ``column``, and its values replaced by what ``values`` has for them."""
        place = [field.name for field in self.fields].index(column)
        fields = (*self.fields[:place], Field(heading, "VARCHAR"), *self.fields[place + 1 :])
        batches = ([(*row[:place], values.get(row[place], row[place]), *row[place + 1 :]) for row in batch] for batch in self.batches)
        return Result(fields, batches)

    def through(self, each: Callable[[Iterator[Any]], Iterator[Any]]) -> Result:
        """Return the same with its batches, of either kind, passed through ``each``."""
        if self.arrow:
            return replace(self, arrow=replace(self.arrow, batches=each(self.arrow.batches)))
        return replace(self, batches=each(self.batches))
