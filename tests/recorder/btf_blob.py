"""A small BTF blob, put together by hand as Documentation/bpf/btf.rst of the kernel has it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = 11, 12, 13, 14, 15, 16, 17, 18, 19


class Blob:
    """Types are added one by one, and numbered from 1."""

    def __init__(self) -> None:
        self._types: list[bytes] = []
        self._strings = b"\0"

    def string(self, text: str) -> int:
        """Return the offset of ``text`` among the strings; that of the empty one is 0."""
        if not text:
            return 0
        offset = len(self._strings)
        self._strings += text.encode() + b"\0"
        return offset

    def add(self, kind: int, name: str = "", size_or_type: int = 0, vlen: int = 0, flag: bool = False, rest: bytes = b"") -> int:
        """Add a type; return its number."""
        info = kind << 24 | vlen | flag << 31
        self._types.append(struct.pack("<III", self.string(name), info, size_or_type) + rest)
        return len(self._types)

    def composite(self, kind: int, name: str, size: int, members: Sequence[tuple[str, int, int]], flag: bool = False) -> int:
        """Add a struct or union of (name, type, offset in bits, with ``flag`` the size of a bit field above them)."""
        rest = b"".join(struct.pack("<III", self.string(member), type_id, offset) for member, type_id, offset in members)
        return self.add(kind, name, size, len(members), flag, rest)

    def bytes(self, version: int = 1) -> bytes:
        """Return the whole blob."""
        types = b"".join(self._types)
        return struct.pack("<HBBIIIII", 0xEB9F, version, 0, 24, 0, len(types), len(types), len(self._strings)) + types + self._strings


def kernel() -> Blob:
    """Return a blob with one of everything that the recorder looks for, and of every kind that it must step over."""
    blob = Blob()
    integer = blob.add(INT, "int", 4, rest=struct.pack("<I", 32))
    long = blob.add(INT, "long unsigned int", 8, rest=struct.pack("<I", 64))
    void_pointer = blob.add(PTR)
    blob.add(ARRAY, rest=struct.pack("<III", integer, long, 16))
    blob.add(FWD, "not_declared")
    blob.add(FLOAT, "double", 8)
    blob.add(ENUM, "cgroup_subsys_id", 4, 2, rest=struct.pack("<IiIi", blob.string("cpuset_cgrp_id"), 0, blob.string("memory_cgrp_id"), 4))
    blob.add(ENUM64, "wide", 8, 1, rest=struct.pack("<III", blob.string("WIDE"), 0, 1))
    function = blob.add(FUNC_PROTO, vlen=1, rest=struct.pack("<II", 0, void_pointer))
    blob.add(FUNC, "do_it", function)
    blob.add(VAR, "jiffies", long, rest=struct.pack("<I", 1))
    blob.add(DATASEC, ".data", 8, 1, rest=struct.pack("<III", 11, 0, 8))
    blob.add(DECL_TAG, "tag", integer, rest=struct.pack("<i", -1))
    inner = blob.composite(STRUCT, "", 8, [("deep", integer, 32)])
    union = blob.composite(UNION, "", 8, [("", inner, 0), ("other", long, 0)])
    blob.composite(STRUCT, "outer", 40, [("first", integer, 0), ("", union, 64), ("second", long, 128), ("last", void_pointer, 256)])
    blob.composite(STRUCT, "flags", 8, [("low", integer, 3 << 24), ("plain", integer, 32)], flag=True)
    hidden = blob.add(CONST, size_or_type=inner)
    tagged = blob.add(TYPE_TAG, "rcu", blob.add(VOLATILE, size_or_type=hidden))
    blob.composite(STRUCT, "modified", 16, [("", blob.add(TYPEDEF, "inner_t", blob.add(RESTRICT, size_or_type=tagged)), 64)])
    for name, arguments in (("sched_process_exit", 3), ("task_newtask", 2)):
        parameters = b"".join(struct.pack("<II", 0, void_pointer) for _ in range(arguments))
        blob.add(TYPEDEF, f"btf_trace_{name}", blob.add(PTR, size_or_type=blob.add(FUNC_PROTO, vlen=arguments, rest=parameters)))
    blob.add(TYPEDEF, "btf_trace_odd", integer)
    return blob
