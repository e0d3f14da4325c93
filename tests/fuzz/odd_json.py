"""Change JSON by what it means: parts of it become odd values, go away, come twice, or get into each other's place."""

from __future__ import annotations

import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, [], {}, "", "a", "\0", "\ud800", "../../etc/passwd", "/", "x" * 300, "\x1b[2J", ["a"], {"a": "b"}, [[[[[]]]]]),
    *(0, -1, 1, 1 << 31, 1 << 63, -(1 << 63), 1 << 64, 10**30, 0.5, -0.0, 1e300, float("nan"), float("inf")),
)
DEEP = ("[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "[" * 100_000, "1" * 5_000)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return (container, key) of all that is in ``value``."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        _places(value[key], found)
    return found


def mutated_value(value: Any, chance: random.Random) -> Any:
    """Return ``value``, which is changed, too, with one part of it another one."""
    places = _places(value, [])
    if not places or chance.random() < 0.05:
        return chance.choice(ODD)
    container, key = chance.choice(places)
    act = chance.randrange(5)
    if act == 0:
        del container[key]
    elif act == 1:
        other, place = chance.choice(places)
        if isinstance(other, dict | list) and (place in other if isinstance(other, dict) else place < len(other)):
            container[key] = json.loads(json.dumps(other[place]))
    elif act == 2 and isinstance(container, list):
        container.insert(key, container[key])
    elif act == 2:
        container[chance.choice(["", "id", "path", "name", str(key) * 2])] = container[key]
    else:
        container[key] = chance.choice(ODD)
    return value


def mutate_json(text: bytes, chance: random.Random) -> bytes:
    """Return a JSON text with a part of it changed; what is no JSON is left alone but for a byte."""
    if chance.random() < 0.02:
        return chance.choice(DEEP).encode()
    try:
        return json.dumps(mutated_value(json.loads(text), chance)).encode()
    except (ValueError, RecursionError):
        place = chance.randrange(len(text) + 1)
        return text[:place] + bytes([chance.randrange(256)]) + text[place + chance.randrange(2) :]


def mutate_lines(text: bytes, chance: random.Random) -> bytes:
    """Return lines of JSON with one of them changed, moved or doubled."""
    lines = text.split(b"\n")
    place = chance.randrange(len(lines))
    act = chance.randrange(6)
    if act == 0:
        lines.insert(chance.randrange(len(lines) + 1), lines[place])
    elif act == 1:
        del lines[place]
    else:
        lines[place] = mutate_json(lines[place], chance)
    return b"\n".join(lines)
