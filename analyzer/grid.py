"""Lay rows out in columns for people's eyes: numbers to the right, and on a terminal no line wider than that.

There long text is cut, down to a width in which a name or an IPv4 address is still whole. Where that does not do, a row takes several lines.

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
_LEAST_TEXT_WIDTH = 15
_LEAST_BAR_WIDTH = 8
_INDENT = "    "
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
    made it, a bar's full length is the first batch's largest value, and that batch decides how many lines a row takes. Numbers are never cut.
    """
    columns = _columns(fields, bars)
    needed = [_BAR_WIDTH if column.is_bar else cell_len(column.heading) for column in columns]
    rows = 0
    for batch in batches:
        lines = [["" if column.is_bar else cell(row[column.source]) for column in columns] for row in batch]
        needed = [max(least, *(cell_len(line[number]) for line in lines)) for number, least in enumerate(needed)]
        if rows == 0:
            scales = {column.source: max(_magnitude(row[column.source]) for row in batch) for column in columns if column.is_bar}
            shares = _shares(needed, columns, width)
        widths = needed if width is None else _fitted(needed, columns, shares, width)
        if rows == 0:
            _write_heading(columns, widths, shares, out)
        for line, row in zip(lines, batch, strict=True):
            for number, column in enumerate(columns):
                if column.is_bar:
                    line[number] = bar(_magnitude(row[column.source]), scales[column.source], widths[number])
            _write_row(line, columns, widths, shares, out)
        rows += len(batch)
    if rows == 0:
        _write_heading(columns, needed, _shares(needed, columns, width), out)
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


def _shares(needed: Sequence[int], columns: Sequence[_Column], width: int | None) -> list[range]:
    """Return which columns stand in each line of a row: all in one, where texts can be cut enough for it, else as many as fit uncut."""
    least = [min(whole, _least(column)) for whole, column in zip(needed, columns, strict=True)]
    if width is None or _width(least) <= width:
        return [range(len(columns))]
    shares: list[range] = []
    begin = 0
    for end in range(1, len(columns) + 1):
        room = width - (len(_INDENT) if shares else 0)
        if end == len(columns) or _width([*needed[begin:end], least[end]]) > room:
            shares.append(range(begin, end))
            begin = end
    return shares


def _least(column: _Column) -> int | float:
    return float("inf") if column.is_number else _LEAST_BAR_WIDTH if column.is_bar else _LEAST_TEXT_WIDTH


def _width(widths: Sequence[int | float]) -> int | float:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(needed: Sequence[int], columns: Sequence[_Column], shares: Sequence[range], width: int) -> list[int]:
    """Return the widths of columns where no line is wider than ``width``: the widest texts give first."""
    widths = list(needed)
    for number, share in enumerate(shares):
        too_wide = _width([widths[place] for place in share]) - width + (len(_INDENT) if number else 0)
        while too_wide > 0 and (texts := [place for place in share if widths[place] > _least(columns[place])]):
            widths[max(texts, key=widths.__getitem__)] -= 1
            too_wide -= 1
    return widths


def _write_heading(columns: Sequence[_Column], widths: Sequence[int], shares: Sequence[range], out: TextIO) -> None:
    _write_row([column.heading for column in columns], columns, widths, shares, out)
    rules = [*widths[:-1], min(widths[-1], _LONGEST_LAST_RULE)]  # an argv has up to 4096 bytes
    _write_row(["─" * rule if column.heading else "" for column, rule in zip(columns, rules, strict=True)], columns, widths, shares, out)


def _write_row(cells: Sequence[str], columns: Sequence[_Column], widths: Sequence[int], shares: Sequence[range], out: TextIO) -> None:
    for number, share in enumerate(shares):
        shown = []
        for place in share:
            text, width = cells[place], widths[place]
            size = cell_len(text)
            if size > width:
                shown.append(set_cell_size(text, width - 1) + "…")
            else:
                shown.append(" " * (width - size) + text if columns[place].is_number else text + " " * (width - size))
        out.write((_INDENT if number else "") + _GAP.join(shown).rstrip(" ") + "\n")
