"""A table for people's eyes: numbers to the right, long text cut where a terminal is too narrow, nothing cut anywhere else.

rich measures and cuts text. Its tables are not used: they cost 25 ms to import and 50 us a cell, and hide whole columns on a narrow terminal.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size

from analyzer.render import Field, Result
from analyzer.text import printable
from analyzer.values import to_text

_NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))")
_GAP = "  "
_LEAST_TEXT_WIDTH = 8
_LONGEST_LAST_RULE = 40


def write(result: Result, out: TextIO, width: int | None) -> int:
    """Write ``result`` to ``out`` and return its number of rows.

    Rows are laid out a batch at a time, so that a long result needs no more memory than a short one: a column is as wide as the batches so far
    made it. Columns of numbers are never cut; where they alone are too wide, lines are longer than the terminal.
    """
    rows = 0
    names = [printable(field.name) for field in result.fields]
    numbers = [_is_number(field) for field in result.fields]
    needed = [cell_len(name) for name in names]
    for batch in result.batches:
        cells = [[_cell(value) for value in row] for row in batch]
        needed = [max(least, *(cell_len(row[column]) for row in cells)) for column, least in enumerate(needed)]
        widths = needed if width is None else _fitted(needed, numbers, width)
        if rows == 0:
            _write_header(names, numbers, widths, out)
        for row in cells:
            _write_line(row, numbers, widths, out)
        rows += len(batch)
    if rows == 0:
        _write_header(names, numbers, needed, out)
        out.write("(no rows)\n")
    return rows


def _is_number(field: Field) -> bool:
    return _NUMBER.fullmatch(field.type) is not None


def _cell(value: Any) -> str:
    # A list of text is an argv nearly always: shown as a shell would take it.
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = shlex.join(value)
    return printable(to_text(value))


def _fitted(needed: Sequence[int], numbers: Sequence[bool], width: int) -> list[int]:
    """Return the widths of columns that are ``width`` wide together: the widest texts give first."""
    widths = list(needed)
    texts = [column for column, number in enumerate(numbers) if not number]
    too_wide = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while too_wide > 0 and texts:
        widest = max(texts, key=widths.__getitem__)
        if widths[widest] <= _LEAST_TEXT_WIDTH:
            break
        widths[widest] -= 1
        too_wide -= 1
    return widths


def _write_header(names: Sequence[str], numbers: Sequence[bool], widths: Sequence[int], out: TextIO) -> None:
    _write_line(names, numbers, widths, out)
    rules = [*widths[:-1], min(widths[-1], _LONGEST_LAST_RULE)]  # an argv has up to 4096 bytes
    out.write(_GAP.join("\u2500" * width for width in rules) + "\n")


def _write_line(cells: Sequence[str], numbers: Sequence[bool], widths: Sequence[int], out: TextIO) -> None:
    shown = []
    for cell, number, width in zip(cells, numbers, widths, strict=True):
        size = cell_len(cell)
        if size > width:
            shown.append(set_cell_size(cell, width - 1) + "\u2026")
        else:
            shown.append(" " * (width - size) + cell if number else cell + " " * (width - size))
    out.write(_GAP.join(shown).rstrip(" ") + "\n")
