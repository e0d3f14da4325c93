"""What a C file of ``bpf/`` becomes: instructions, the maps that they name, and the layouts of the records in its rings."""

from __future__ import annotations

import base64
import ctypes
import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

INSTRUCTION_BYTES = 8
_LOAD_MAP = (0x18, 1)
"""Opcode of a 64-bit immediate load, and the source register that says that it is a map (BPF_PSEUDO_MAP_FD of linux/bpf.h)."""

Layout = dict[str, Any]
"""What ``numpy.dtype`` takes: ``names``, ``formats``, ``offsets``, ``itemsize``."""


@dataclass(frozen=True, slots=True)
class Map:
    """A map as the kernel is asked for it; ``type`` and ``flags`` are those of linux/bpf.h, a value is that of one CPU."""

    name: str
    type: int
    key_bytes: int
    value_bytes: int
    max_entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled C file. ``functions`` have the place of a map in ``maps`` where the kernel wants its descriptor."""

    maps: tuple[Map, ...]
    functions: dict[str, bytes]
    records: dict[str, Layout]
    """By table: the layout of what is in its ring."""

    def to_json(self) -> str:
        """Return it as text."""
        functions = {name: base64.b64encode(code).decode() for name, code in self.functions.items()}
        return json.dumps({"maps": [asdict(each) for each in self.maps], "functions": functions, "records": self.records})

    @classmethod
    def from_json(cls, text: str) -> Compiled:
        """Return what :meth:`to_json` made; raise ValueError, KeyError or TypeError for anything else."""
        try:
            data = json.loads(text)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(data, dict) or not isinstance(data["functions"], dict) or not isinstance(data["records"], dict):
            raise TypeError("not a compiled file")
        functions = {name: base64.b64decode(code, validate=True) for name, code in data["functions"].items()}
        return cls(tuple(Map(**each) for each in data["maps"]), functions, data["records"])


def with_maps(code: bytes, numbers: dict[int, int]) -> bytes:
    """Return instructions with every map that they load replaced by its number in ``numbers``: places by descriptors, or the other way round."""
    out = bytearray(code)
    position = 0
    while position < len(code):
        opcode, registers = code[position], code[position + 1]
        if (opcode, registers >> 4) == _LOAD_MAP:
            struct.pack_into("=i", out, position + 4, numbers[struct.unpack_from("=i", code, position + 4)[0]])
        position += INSTRUCTION_BYTES * (2 if opcode == _LOAD_MAP[0] else 1)
    return bytes(out)


def _format(kind: Any) -> str:
    if issubclass(kind, ctypes.Array):
        length = ctypes.sizeof(kind) // ctypes.sizeof(kind._type_)
        return f"S{length}" if kind._type_ is ctypes.c_char else f"({length},){_format(kind._type_)}"
    signed = kind._type_ in "bhilq"
    return f"{'i' if signed else 'u'}{ctypes.sizeof(kind)}"


def layout(record: type[ctypes.Structure]) -> Layout:
    """Return how ``record`` lies in memory; it has integers and arrays of them only."""
    fields = [(field[0], field[1]) for field in record._fields_]
    return {
        "names": [name for name, _ in fields],
        "formats": [_format(kind) for _, kind in fields],
        "offsets": [getattr(record, name).offset for name, _ in fields],
        "itemsize": ctypes.sizeof(record),
    }
