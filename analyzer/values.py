"""Turn the Python objects that DuckDB returns into text and into JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from analyzer.result import Result

# What JSON has as it is, by DuckDB's name of the type: most columns are of these.
_PLAIN = frozenset(["BOOLEAN", "VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"])

_ENCODER = json.JSONEncoder(allow_nan=False)
_INDENTING = json.JSONEncoder(allow_nan=False, indent=2)


def to_json(value: Any) -> Any:
    """Return ``value`` as something that JSON has: ISO 8601 for times, null for NaN and infinity, hexadecimal digits for bytes."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    return to_text(value).replace(" ", "T", 1) if isinstance(value, datetime) else to_text(value)


def to_text(value: Any) -> str:
    """Return ``value`` as CSV and tables show it: empty for NULL, six decimals of a second, JSON for lists and structs."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | dict):
        return json.dumps(to_json(value), ensure_ascii=False)
    return str(value)


def json_text(value: Any) -> str:
    """Return what JSON has as one line of visible ASCII: the module json leaves DEL as it is."""
    return _ENCODER.encode(value).replace("\x7f", r"\u007f")


def json_document(value: Any) -> str:
    """Return any value as JSON that people can read, too: indented, and of visible ASCII."""
    return _INDENTING.encode(to_json(value)).replace("\x7f", r"\u007f")


def objects(result: Result) -> Iterator[dict[str, Any]]:
    """Yield each row of ``result`` as a JSON object."""
    names = unique(field.name for field in result.fields)
    odd = [number for number, field in enumerate(result.fields) if field.type not in _PLAIN]
    for batch in result.batches:
        for row in batch:
            record = dict(zip(names, row, strict=True))
            for number in odd:
                record[names[number]] = to_json(row[number])
            yield record


def json_lines(result: Result) -> Iterator[str]:
    """Yield each row of ``result`` as the text of a JSON object."""
    return map(json_text, objects(result))


def unique(names: Iterable[str]) -> list[str]:
    """Return ``names`` so that each is there once: a, a_2, a_3. A result may have a column name twice, a JSON object and a Parquet file may not."""
    found: dict[str, None] = {}
    for name in names:
        number, candidate = 2, name
        while candidate in found:
            candidate = f"{name}_{number}"
            number += 1
        found[candidate] = None
    return list(found)
