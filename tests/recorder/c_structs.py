"""The records that bpf/*.c declare, as ctypes classes, read from the C text itself with a C parser: no compiler, no kernel, no root."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pycparser import CParser, c_ast

from recorder.compiler import source_folder

_TYPES: dict[str, Any] = {"u8": ctypes.c_uint8, "u16": ctypes.c_uint16, "u32": ctypes.c_uint32, "u64": ctypes.c_uint64, "char": ctypes.c_char}
_TYPES |= {"s8": ctypes.c_int8, "s16": ctypes.c_int16, "s32": ctypes.c_int32, "s64": ctypes.c_int64}
_TYPEDEFS = "".join(f"typedef {'unsigned ' if name[0] == 'u' else ''}long long {name};" for name in _TYPES if name != "char")
# linux/sched.h
_CONSTANTS = {"TASK_COMM_LEN": "16"}


def _without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def _definitions(text: str) -> dict[str, str]:
    return {name: body.strip() for name, body in re.findall(r"^#define ([A-Z]\w*)[ \t]+(\S.*)$", text.replace("\\\n", " "), re.MULTILINE)}


@cache
def constant(name: str) -> int:
    """Return the number that bpf/common.h defines ``name`` as."""
    return int(_definitions(_without_comments((source_folder() / "common.h").read_text()))[name])


def _expand(text: str, definitions: str) -> str:
    """Return ``text`` with the macros of ``definitions`` replaced that stand in records: numbers, and fields such as EVENT_COMMON."""
    words = _CONSTANTS | _definitions(definitions)
    assert "EVENT_COMMON" in words, "bpf/common.h defines EVENT_COMMON"
    for _ in range(2):  # EVENT_COMMON has TASK_COMM_LEN in it
        text = re.sub(r"\b[A-Z]\w*\b", lambda word: words.get(word[0], word[0]), text)
    return text


def _number(expression: c_ast.Node) -> int:
    """Return the value of a constant, or of a sum of them."""
    if isinstance(expression, c_ast.BinaryOp):
        assert expression.op == "+"
        return _number(expression.left) + _number(expression.right)
    assert isinstance(expression, c_ast.Constant)
    return int(expression.value, 0)


def _fields(struct: c_ast.Struct) -> Iterator[tuple[str, Any]]:
    for field in struct.decls or ():
        declared = field.type
        if isinstance(declared, c_ast.ArrayDecl):
            element, length = declared.type.type.names[0], _number(declared.dim)
            yield field.name, _TYPES[element] * length
        else:
            yield field.name, _TYPES[declared.type.names[0]]


@cache
def event_structs(tracer: str) -> dict[str, type[ctypes.Structure]]:
    """Return the record of each table of bpf/<tracer>.c: struct exec_event is that of exec."""
    common = _without_comments((source_folder() / "common.h").read_text())
    text = _without_comments((source_folder() / f"{tracer}.c").read_text())
    found = {}
    for table in re.findall(r"^TABLE\((\w+)\);$", text, re.MULTILINE):
        declaration = re.search(rf"^struct {table}_event \{{.*?^\}};", text, re.MULTILINE | re.DOTALL)
        assert declaration, f"bpf/{tracer}.c has TABLE({table}) and no struct {table}_event"
        parsed = CParser().parse(_TYPEDEFS + _expand(declaration[0], common + text))
        (struct,) = [node.type for node in parsed.ext if isinstance(node, c_ast.Decl)]
        found[table] = type(f"{table}_event", (ctypes.Structure,), {"_fields_": list(_fields(struct))})
    return found


def layout(record: type[ctypes.Structure]) -> list[tuple[str, int, int]]:
    """Return (name, offset, size) of the fields of a record."""
    return [(name, getattr(record, name).offset, getattr(record, name).size) for name, *_ in record._fields_]
