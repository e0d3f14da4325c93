"""JSON: an array of objects, one a line. Everything outside of ASCII is escaped, so that no text steers a terminal."""

from __future__ import annotations

import json
from typing import TextIO

from analyzer.render import Result
from analyzer.values import to_json


def write(result: Result, out: TextIO, width: int | None) -> int:  # noqa: ARG001 - JSON is the same everywhere
    """Write ``result`` to ``out`` and return its number of rows."""
    names = _unique([field.name for field in result.fields])
    rows = 0
    out.write("[")
    for batch in result.batches:
        for row in batch:
            out.write(",\n" if rows else "\n")
            json.dump(dict(zip(names, map(to_json, row), strict=True)), out, allow_nan=False)
            rows += 1
    out.write("\n]\n" if rows else "]\n")
    return rows


def _unique(names: list[str]) -> list[str]:
    # An object has a key once, a result may have a column name twice: a, a_2, a_3.
    unique: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in unique:
            candidate = f"{name}_{number}"
            number += 1
        unique.append(candidate)
    return unique
