"""What ``perf script`` runs in its own Python: it decodes the samples by itself, and this writes a line of JSON for each."""

import json
from typing import Any


def trace_unhandled(event_name: str, _: object, fields: dict[str, Any], sample: dict[str, Any]) -> None:
    told = {name: _told(value) for name, value in fields.items() if not name.startswith("common_")}
    print(json.dumps([sample["sample"]["time"], event_name, sample["sample"]["tid"], told]))


def _told(value: Any) -> Any:
    # Arrays are bytes, but text where there is nothing in them.
    return value.hex() if isinstance(value, bytearray) else value
