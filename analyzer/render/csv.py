"""CSV as RFC 4180 has it, with a header line. Lines end in a line feed, NULL is an empty field."""

from __future__ import annotations

import csv
from typing import TextIO

from analyzer.answer import Answer
from analyzer.render import Traits
from analyzer.text import printable
from analyzer.values import to_text

TRAITS = Traits("comma-separated values with a header line, for spreadsheets and scripts")

# The module csv writes these itself just as to_text() would; most columns are of these types, and to call it for each value takes half of the time.
_AS_THEY_ARE = frozenset(["VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "DOUBLE"])


def write(answer: Answer, out: TextIO, width: int | None) -> int:
    """Write ``answer`` to ``out`` and return its number of rows; on a terminal, what would steer it is written as an escape."""
    lines = csv.writer(out, lineterminator="\n")
    shown = to_text if width is None else lambda value: printable(to_text(value))
    as_they_are = width is None and all(field.type in _AS_THEY_ARE for field in answer.fields)
    lines.writerow([shown(field.name) for field in answer.fields])
    rows = 0
    for batch in answer.result.batches:
        lines.writerows(batch if as_they_are else ([shown(value) for value in row] for row in batch))
        rows += len(batch)
    return rows
