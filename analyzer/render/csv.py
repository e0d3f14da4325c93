"""CSV as RFC 4180 has it, with a header line. Lines end in a line feed, NULL is an empty field."""

from __future__ import annotations

import csv
from typing import TextIO

from analyzer.render import Result
from analyzer.text import printable
from analyzer.values import to_text


def write(result: Result, out: TextIO, width: int | None) -> int:
    """Write ``result`` to ``out`` and return its number of rows; on a terminal, what would steer it is written as an escape."""
    lines = csv.writer(out, lineterminator="\n")
    shown = to_text if width is None else lambda value: printable(to_text(value))
    lines.writerow([shown(field.name) for field in result.fields])
    rows = 0
    for batch in result.batches:
        lines.writerows([shown(value) for value in row] for row in batch)
        rows += len(batch)
    return rows
