"""Turn the Python objects that DuckDB returns into text and into JSON."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any


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
        import json

        return json.dumps(to_json(value), ensure_ascii=False)
    return str(value)
