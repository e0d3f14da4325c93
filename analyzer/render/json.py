"""JSON: an object of the rows, one a line, and of what they rest on. Everything outside of printable ASCII is escaped: no text steers a terminal."""

from __future__ import annotations

from typing import TextIO

from analyzer.answer import Answer
from analyzer.render import Traits
from analyzer.values import json_lines, json_text
from analyzer.wording import as_json

TRAITS = Traits('one JSON object: {"rows": [...], "coverage": {...}}', tells_trust=True)


def write(answer: Answer, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - JSON is the same everywhere
    """Write ``answer`` to ``out`` and return its number of rows."""
    rows = 0
    out.write('{"rows": [')
    for row in json_lines(answer.result):
        out.write(",\n" if rows else "\n")
        out.write(row)
        rows += 1
    out.write("\n],\n" if rows else "],\n")
    out.write(f'"coverage": {json_text(as_json(answer.trust, answer.names, answer.notes))}}}\n')
    return rows
