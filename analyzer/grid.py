"""Lay rows out in columns for people's eyes: numbers to the right, long text cut where a terminal is too narrow, nothing cut anywhere else.

rich measures and cuts text. Its tables are not used: they cost 25 ms to import and 50 us a cell, and hide whole columns on a narrow terminal.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size

from analyzer.result import Field
from analyzer.text import printable
from analyzer.values import to_text

Rows = list[tuple[Any, ...]]

_GAP = "  "
_LEAST_TEXT_WIDTH = 8
_LONGEST_LAST_RULE = 40
_BAR_WIDTH = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_BEYOND = "▶"


def cell(value: Any) -> str:
    """Return ``value`` as one line of visible text."""
    # A list of text is an argv nearly always: shown as a shell would take it.
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = shlex.join(value)
    return printable(to_text(value))


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the grid: ``source`` is its place in a row. ``is_bar``: it has no heading, and draws that value."""

    source: int
    heading: str
    is_number: bool
    is_bar: bool = False


def write_grid(
    fields: Sequence[Field],
    batches: Iterable[Rows],
    out: TextIO,
    width: int | None,
    bars: Sequence[str] = (),
    empty: str = "no rows",
) -> int:
    """Write rows below a heading and return their number; ``bars`` names the columns of numbers to draw, ``empty`` stands where no row is.

    Rows are laid out a batch at a time, so that a long result needs no more memory than a short one: a column is as wide as the batches so far
    made it, and a bar's full length is the first batch's largest value. Columns of numbers are never cut; where they alone are too wide, lines
    are longer than the terminal.
    """
    columns = _columns(fields, bars)
    needed = [_BAR_WIDTH if column.is_bar else cell_len(column.heading) for column in columns]
    rows = 0
    for batch in batches:
        lines = [["" if column.is_bar else cell(row[column.source]) for column in columns] for row in batch]
        needed = [max(least, *(cell_len(line[number]) for line in lines)) for number, least in enumerate(needed)]
        widths = needed if width is None else _fitted(needed, columns, width)
        if rows == 0:
            scales = {column.source: max(_magnitude(row[column.source]) for row in batch) for column in columns if column.is_bar}
            _write_heading(columns, widths, out)
        for line, row in zip(lines, batch, strict=True):
            for number, column in enumerate(columns):
                if column.is_bar:
                    line[number] = bar(_magnitude(row[column.source]), scales[column.source], widths[number])
            _write_line(line, columns, widths, out)
        rows += len(batch)
    if rows == 0:
        _write_heading(columns, needed, out)
        out.write(f"({empty})\n")
    return rows


def _columns(fields: Sequence[Field], bars: Sequence[str]) -> list[_Column]:
    columns = []
    for source, field in enumerate(fields):
        columns.append(_Column(source, printable(field.name), field.is_number))
        if field.is_number and field.name in bars:
            columns.append(_Column(source, "", is_number=False, is_bar=True))
    return columns


def _magnitude(value: int | float | Decimal | None) -> float:
    return float(value) if value is not None and 0 < value < float("inf") else 0.0


def bar(value: float, scale: float, width: int) -> str:
    """Return a bar for ``value`` where one of ``scale`` is ``width`` columns wide; a longer one is cut, and its end says so."""
    if value <= 0 or scale <= 0:
        return ""
    if value > scale:
        return _FULL * (width - 1) + _BEYOND
    full, eighths = divmod(max(1, round(value / scale * width * 8)), 8)
    return _FULL * full + _EIGHTHS[eighths].strip()


def _fitted(needed: Sequence[int], columns: Sequence[_Column], width: int) -> list[int]:
    """Return the widths of columns that are ``width`` wide together: the widest texts give first."""
    widths = list(needed)
    texts = [number for number, column in enumerate(columns) if not column.is_number]
    too_wide = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while too_wide > 0 and texts:
        widest = max(texts, key=widths.__getitem__)
        if widths[widest] <= _LEAST_TEXT_WIDTH:
            break
        widths[widest] -= 1
        too_wide -= 1
    return widths


def _write_heading(columns: Sequence[_Column], widths: Sequence[int], out: TextIO) -> None:
    _write_line([column.heading for column in columns], columns, widths, out)
    rules = [*widths[:-1], min(widths[-1], _LONGEST_LAST_RULE)]  # an argv has up to 4096 bytes
    out.write(_GAP.join(("─" if column.heading else " ") * rule for column, rule in zip(columns, rules, strict=True)).rstrip(" ") + "\n")


def _write_line(cells: Sequence[str], columns: Sequence[_Column], widths: Sequence[int], out: TextIO) -> None:
    shown = []
    for text, column, width in zip(cells, columns, widths, strict=True):
        size = cell_len(text)
        if size > width:
            shown.append(set_cell_size(text, width - 1) + "…")
        else:
            shown.append(" " * (width - size) + text if column.is_number else text + " " * (width - size))
    out.write(_GAP.join(shown).rstrip(" ") + "\n")
