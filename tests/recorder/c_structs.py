"""The records that bpf/*.c declare, as ctypes classes, read from the C text itself with a C parser: no compiler, no kernel, no root."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pycparser import CParser, c_ast

from recorder.bpf_program import source_folder

_TYPES: dict[str, Any] = {"u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "u64": ctypes.c_uint64, "char": ctypes.c_char}
_TYPES |= {"s8": ctypes.c_int8, "s16": ctypes.c_int16, "s32": ctypes.c_int32, "s64": ctypes.c_int64}
_TYPEDEFS = "".join(f"typedef {'unsigned ' if name[0] == 'u' else ''}long long {name};" for name in _TYPES if name != "char")
# linux/sched.h
_CONSTANTS = {"TASK_COMM_LEN": "16"}


def _expand(text: str, definitions: str) -> str:
    """Return ``text`` with the macros of ``definitions`` replaced that stand in records: EVENT_COMMON and numbers."""
    macro = re.search(r"#define EVENT_COMMON\b(.*?[^\\])\n", definitions, re.DOTALL)
    assert macro, "bpf/common.h defines EVENT_COMMON"
    words = _CONSTANTS | dict(re.findall(r"^#define (\w+) (\d+)$", definitions, re.MULTILINE)) | {"EVENT_COMMON": macro[1].replace("\\\n", " ")}
    for _ in range(2):  # EVENT_COMMON has TASK_COMM_LEN in it
        text = re.sub(r"\b[A-Z]\w*\b", lambda word: words.get(word[0], word[0]), text)
    return text


def _fields(struct: c_ast.Struct) -> Iterator[tuple[str, Any]]:
    for field in struct.decls or ():
        declared = field.type
        if isinstance(declared, c_ast.ArrayDecl):
            element, length = declared.type.type.names[0], int(declared.dim.value, 0)
            yield field.name, _TYPES[element] * length
        else:
            yield field.name, _TYPES[declared.type.names[0]]


@cache
def event_structs(tracer: str) -> dict[str, type[ctypes.Structure]]:
    """Return the record of each table of bpf/<tracer>.c: struct exec_event is that of exec."""
    common = (source_folder() / "common.h").read_text()
    text = (source_folder() / f"{tracer}.c").read_text()
    found = {}
    for table in re.findall(r"^TABLE\((\w+)\);$", text, re.MULTILINE):
        declaration = re.search(rf"^struct {table}_event \{{.*?^\}};", text, re.MULTILINE | re.DOTALL)
        assert declaration, f"bpf/{tracer}.c has TABLE({table}) and no struct {table}_event"
        plain = re.sub(r"/\*.*?\*/", "", declaration[0], flags=re.DOTALL)
        (struct,) = [node.type for node in CParser().parse(_TYPEDEFS + _expand(plain, common + text)).ext if isinstance(node, c_ast.Decl)]
        found[table] = type(f"{table}_event", (ctypes.Structure,), {"_fields_": list(_fields(struct))})
    return found


def layout(record: type[ctypes.Structure]) -> list[tuple[str, int, int]]:
    """Return (name, offset, size) of the fields of a record."""
    return [(name, getattr(record, name).offset, getattr(record, name).size) for name, *_ in record._fields_]
