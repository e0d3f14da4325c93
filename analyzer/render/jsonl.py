"""JSON lines: one object a row and nothing else, for jq and for whatever reads rows as they come."""

from __future__ import annotations

from typing import TextIO

from analyzer.answer import Answer
from analyzer.render import Traits
from analyzer.values import json_lines

TRAITS = Traits("one JSON object a line, for jq and log pipelines")


def write(answer: Answer, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - JSON is the same everywhere
    """Write ``answer`` to ``out`` and return its number of rows."""
    rows = 0
    for row in json_lines(answer.result):
        out.write(row + "\n")
        rows += 1
    return rows
