"""A table for people's eyes, as wide as the terminal; the columns that the report declares are drawn as bars, too."""

from __future__ import annotations

from typing import TextIO

from analyzer.answer import Answer
from analyzer.grid import write_grid
from analyzer.render import Traits
from analyzer.wording import nothing

TRAITS = Traits("columns for reading", for_eyes=True)


def write(answer: Answer, out: TextIO, width: int | None) -> int:
    """Write ``answer`` to ``out`` and return its number of rows."""
    return write_grid(answer.fields, answer.result.batches, out, width, answer.bars, nothing(answer.trust))
