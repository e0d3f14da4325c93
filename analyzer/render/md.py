"""Markdown: a table as GitHub and others show it, numbers to the right, with what it rests on in a line below it.

Text of a recording is escaped twice over: what would steer a terminal, and what Markdown or HTML would take for more than text.
"""

from __future__ import annotations

import html
import re
from typing import TextIO

from analyzer.answer import Answer
from analyzer.grid import cell
from analyzer.render import Traits
from analyzer.text import printable
from analyzer.wording import line, nothing

TRAITS = Traits("a Markdown table, for issues and chats", for_eyes=True, tells_trust=True)

# What CommonMark and GitHub take for more than text within a line. An underscore between letters is none of it, a colon begins links alone.
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])|:(?=//)")


def write(answer: Answer, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - a renderer breaks the lines
    """Write ``answer`` to ``out`` and return its number of rows."""
    _write_row([_escaped(printable(field.name)) for field in answer.fields], out)
    _write_row(["---:" if field.is_number else "---" for field in answer.fields], out)
    rows = 0
    for batch in answer.result.batches:
        for row in batch:
            _write_row([_escaped(cell(value)) for value in row], out)
        rows += len(batch)
    if rows == 0:
        out.write(f"\n({nothing(answer.trust)})\n")
    for note in answer.notes:
        out.write(f"\n_note: {_escaped(printable(note))}_\n")
    if answer.trust:
        out.write(f"\n_{_escaped(line(answer.trust, answer.names))}_\n")
    return rows


def _write_row(cells: list[str], out: TextIO) -> None:
    out.write(f"| {' | '.join(cells)} |\n")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], html.escape(text, quote=False))
