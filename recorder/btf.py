"""The running kernel's own description of its types (BTF), read in plain Python.

The layout of BTF is from the kernel's Documentation/bpf/btf.rst. Only what the recorder asks of it is read: offsets and
sizes of structure members, values of enumerators, and the arguments of raw tracepoints.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.errors import Exit, RecorderError

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT = 2, 3, 4, 5, 6, 8, 9, 10, 11
_FUNC, _FUNC_PROTO, _TYPE_TAG = 12, 13, 18
_MODIFIERS = frozenset({_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG})
# Bytes that follow the 12-byte header of a type: (once, for each of its vlen elements). Kinds from linux/btf.h.
_TRAILERS = {
    1: (4, 0),  # int
    2: (0, 0),  # pointer
    3: (12, 0),  # array
    4: (0, 12),  # struct
    5: (0, 12),  # union
    6: (0, 8),  # enum
    7: (0, 0),  # forward
    8: (0, 0),  # typedef
    9: (0, 0),  # volatile
    10: (0, 0),  # const
    11: (0, 0),  # restrict
    12: (0, 0),  # function
    13: (0, 8),  # function prototype
    14: (4, 0),  # variable
    15: (0, 12),  # data section
    16: (0, 0),  # float
    17: (4, 0),  # declaration tag
    18: (0, 0),  # type tag
    19: (0, 12),  # 64-bit enum
}

# Far more than any kernel has: of typedefs and qualifiers in a row, and of members of one structure with all that are in it.
_MOST_MODIFIERS = 64
_MOST_MEMBERS = 100_000

_STRUCT_DECLARATION = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"^\t(?P<declaration>[^;]*?\b(?P<name>\w+)(?:\[\d+\])?);$", re.MULTILINE)


@contextmanager
def _read() -> Iterator[None]:
    """Turn what comes of numbers that lead nowhere into the error for people."""
    try:
        yield
    except (struct.error, ValueError, IndexError) as error:
        raise RecorderError(f"the kernel's type information (BTF) cannot be read: {error}", code=Exit.BPF) from error


class Btf:
    """An index over one BTF blob. What is asked of it raises RecorderError (exit 70) where the blob makes no sense."""

    def __init__(self, data: bytes) -> None:
        """Index ``data``; raise RecorderError (exit 70) when it is not BTF or has a kind that is not known."""
        self._data = data
        self._positions = [0]
        self._names: dict[tuple[bool, str], int] = {}
        self._functions: dict[int, int] = {}
        with _read():
            magic, _, _, header_len, type_off, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", data)
            if magic != _MAGIC:
                raise ValueError("wrong magic number")
            self._strings = header_len + str_off
            if self._strings + str_len > len(data) or header_len + type_off + type_len > len(data):
                raise ValueError("cut short")
            self._index(header_len + type_off, header_len + type_off + type_len)

    @classmethod
    def of_running_kernel(cls) -> Btf:
        """Read the running kernel's BTF; raise RecorderError (exit 70) where there is none."""
        try:
            return cls(VMLINUX.read_bytes())
        except OSError as error:
            raise RecorderError(
                f"this kernel does not describe its types: {VMLINUX}: {error.strerror}",
                "bpftape needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of all large distributions are. See: bpftape doctor",
                Exit.BPF,
            ) from error

    def _index(self, position: int, end: int) -> None:
        # One loop over some hundred thousand types: everything local, names of what can be looked up only.
        header = struct.Struct("<III").unpack_from
        named = {_STRUCT: False, _UNION: False, _TYPEDEF: True}
        while position < end:
            name, info, _ = header(self._data, position)
            kind = (info >> 24) & 0x1F
            if kind in named and name:
                self._names.setdefault((named[kind], self._string(name)), len(self._positions))
            elif kind == _FUNC:
                self._functions[name] = len(self._positions)
            elif kind == _ENUM and name:
                self._names.setdefault((False, "enum " + self._string(name)), len(self._positions))
            self._positions.append(position)
            if kind not in _TRAILERS:
                raise ValueError(f"unknown kind {kind}")
            once, each = _TRAILERS[kind]
            position += 12 + once + each * (info & 0xFFFF)

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._data[start : self._data.index(b"\0", start)].decode("ascii", "replace")

    def _header(self, type_id: int) -> tuple[int, int, int, int]:
        """Return (kind, vlen, kind flag, size or type) of a type."""
        _, info, size = struct.unpack_from("<III", self._data, self._positions[type_id])
        return (info >> 24) & 0x1F, info & 0xFFFF, info >> 31, size

    def _resolve(self, type_id: int) -> int:
        for _ in range(_MOST_MODIFIERS):
            kind, _, _, target = self._header(type_id) if type_id else (0, 0, 0, 0)
            if kind not in _MODIFIERS:
                return type_id
            type_id = target
        raise ValueError("a type that is made of itself")

    def _members(self, type_id: int) -> Iterator[tuple[str, int]]:
        """Yield (name, offset in bits) of the members, those of anonymous structures and unions behind those around them."""
        waiting, left = [(type_id, 0)], _MOST_MEMBERS
        for outer, base in waiting:
            type_id = self._resolve(outer)
            kind, vlen, flag, _ = self._header(type_id)
            if kind not in (_STRUCT, _UNION):
                continue
            left -= vlen + 1
            if left < 0:
                raise ValueError("a structure without an end")
            position = self._positions[type_id] + 12
            for name, member_type, offset in struct.iter_unpack("<III", self._data[position : position + 12 * vlen]):
                bit = base + ((offset & 0xFFFFFF) if flag else offset)
                if name:
                    yield self._string(name), bit
                else:
                    waiting.append((member_type, bit))

    def struct(self, name: str) -> tuple[int, dict[str, int]] | None:
        """Return (size in bytes, offset in bytes by member) of ``struct name``, or None where the kernel has none."""
        type_id = self._names.get((False, name))
        if type_id is None:
            return None
        with _read():
            return self._header(type_id)[3], {member: bit // 8 for member, bit in self._members(type_id)}

    def bit(self, struct_name: str, member: str) -> int | None:
        """Return the offset in bits of a bit field among the members of ``struct struct_name``, or None where the kernel has none."""
        type_id = self._names.get((False, struct_name))
        with _read():
            return next((bit for name, bit in self._members(type_id) if name == member), None) if type_id is not None else None

    def enumerator(self, enum: str, name: str) -> int | None:
        """Return the value of ``name`` in ``enum enum``, or None where the kernel has none."""
        type_id = self._names.get((False, "enum " + enum))
        if type_id is None:
            return None
        with _read():
            position, vlen = self._positions[type_id] + 12, self._header(type_id)[1]
            values = struct.iter_unpack("<Ii", self._data[position : position + 8 * vlen])
            return next((int(value) for offset, value in values if self._string(offset) == name), None)

    def function(self, name: str) -> int | None:
        """Return the number of the type that stands for the function ``name``, None if there is none."""
        # There are some sixty thousand, and one is asked for: it is looked up by where the strings have its name.
        found = self._data.find(b"\0" + name.encode() + b"\0", self._strings)
        return self._functions.get(found + 1 - self._strings) if found >= 0 else None

    def typedef(self, name: str) -> int | None:
        """Return the number of the typedef ``name``, None if the kernel has none of that name."""
        return self._names.get((True, name))

    def raw_tracepoint_type(self, name: str) -> int | None:
        """Return the number of the type that stands for the tracepoint ``name``, None if there is no such tracepoint."""
        return self.typedef(f"btf_trace_{name}")

    def raw_tracepoint_arguments(self, name: str) -> int | None:
        """Return how many arguments the tracepoint ``name`` hands to a raw tracepoint program, None if there is no such tracepoint."""
        type_id = self.raw_tracepoint_type(name)
        if type_id is None:
            return None
        with _read():
            pointer = self._resolve(type_id)
            if self._header(pointer)[0] != _PTR:
                return None
            kind, vlen, _, _ = self._header(self._header(pointer)[3])
            return vlen - 1 if kind == _FUNC_PROTO else None  # the first one is the tracepoint's own data


def relocate(declarations: str, btf: Btf) -> str:
    """Return ``declarations`` (the text of bpf/kernel_types.h) with every member at its offset in the running kernel.

    A member is placed by padding inside a union, so that C code reads ``task->real_parent->tgid`` as usual. Structures have their
    true size, so that they can be held by value and indexed.
    """
    out: list[str] = [f"struct {name};" for name in sorted(set(re.findall(r"struct (\w+)", declarations)))]
    for name, body in _STRUCT_DECLARATION.findall(declarations):
        known = btf.struct(name)
        if known is None:
            continue
        size, offsets = known
        lines, out_of_place = [f"\tchar _size[{size}];"], []
        for member in _MEMBER.finditer(body):
            offset = offsets.get(member["name"])
            if offset is None:
                continue
            out.append(f"#define HAVE_{name}_{member['name']} 1")
            padding = f"char _at_{member['name']}[{offset}]; " if offset else ""
            # Not packed: the compiler would load members byte by byte, which the kernel refuses for pointers.
            lines.append(f"\tstruct {{ {padding}{member['declaration']}; }};")
            out_of_place.append(f'_Static_assert(__builtin_offsetof(struct {name}, {member["name"]}) == {offset}, "{name}.{member["name"]}");')
        out.append(f"struct {name} {{ union {{\n" + "\n".join(lines) + "\n}; };")
        out += out_of_place
    return "\n".join(out) + "\n"
