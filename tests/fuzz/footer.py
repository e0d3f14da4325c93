"""Parquet that lies: change a file's footer by what it means. The footer is Thrift in the compact protocol, read and written here without its schema.

The protocol is from Apache Thrift's doc/specs/thrift-compact-protocol.md, the file's layout from Apache Parquet's README.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Any

MAGIC = b"PAR1"
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_INTEGERS = (_I16, _I32, _I64)


@dataclass(slots=True)
class Field:
    """A field of a structure: its number, its type, its value. That of a structure is a list of fields, that of a list its type and values."""

    number: int
    kind: int
    value: Any


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise IndexError(count)
        self._at += count
        return self._data[self._at - count : self._at]

    def structure(self) -> list[Field]:
        fields: list[Field] = []
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 0xF
            fields.append(Field(number, kind, None if kind in (_TRUE, _FALSE) else self.value(kind)))
        return fields

    def value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in _INTEGERS:
            return self._zigzag()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.structure()
        if kind not in (_LIST, _SET):
            raise ValueError(f"kind {kind}")
        head = self._byte()
        count, element = head >> 4, head & 0xF
        return [element, [self.value(element) for _ in range(self._varint() if count == 15 else count)]]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> bytes:
    return _varint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def _encoded(kind: int, value: Any) -> bytes:
    if kind in (_TRUE, _FALSE, _BYTE):
        return bytes([value & 0xFF])
    if kind in _INTEGERS:
        return _zigzag(value)
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == _STRUCT:
        return b"".join(map(_field, value)) + b"\0"
    if kind in (_LIST, _SET):
        element, values = value
        head = bytes([len(values) << 4 | element]) if len(values) < 15 else bytes([0xF0 | element]) + _varint(len(values))
        return head + b"".join(_encoded(element, each) for each in values)
    return bytes(value)


def _field(field: Field) -> bytes:
    head = bytes([field.kind]) + _zigzag(field.number)
    return head if field.kind in (_TRUE, _FALSE) else head + _encoded(field.kind, field.value)


def parsed(data: bytes) -> list[Field]:
    """Return the footer of a Parquet file as fields; raise ValueError or IndexError where it is none."""
    if data[-4:] != MAGIC:
        raise ValueError("no Parquet file")
    end = len(data) - 8
    return _Reader(data[end - struct.unpack("<I", data[-8:-4])[0] : end]).structure()


def with_footer(data: bytes, footer: list[Field]) -> bytes:
    """Return a Parquet file with another footer in its footer's place."""
    body = data[: len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]]
    encoded = _encoded(_STRUCT, footer)
    return body + encoded + struct.pack("<I", len(encoded)) + MAGIC


def _nodes(fields: list[Field], found: list[Field]) -> list[Field]:
    """Return all fields, those inside of others among them."""
    for field in fields:
        found.append(field)
        if field.kind == _STRUCT:
            _nodes(field.value, found)
        elif field.kind in (_LIST, _SET) and field.value[0] == _STRUCT:
            for each in field.value[1]:
                _nodes(each, found)
    return found


def _odd_number(value: int, nodes: list[Field], chance: random.Random) -> int:
    others: list[int] = [node.value for node in nodes if node.kind in _INTEGERS]
    near: tuple[int, ...] = (value + 1, value - 1, value * 2, value // 2, -value, value + 256)
    return chance.choice([*near, 0, 1, -1, 2, 127, 1 << 31, -(1 << 31), (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63), chance.choice(others)])


def _change_list(field: Field, chance: random.Random) -> None:
    values = field.value[1]
    place = chance.randrange(len(values)) if values else 0
    act = chance.randrange(5)
    if not values or act == 0:
        field.value[1] = values[:place]
    elif act == 1:
        del values[place]
    elif act == 2:
        values.insert(chance.randrange(len(values) + 1), values[place])
    elif act == 3:
        other = chance.randrange(len(values))
        values[place], values[other] = values[other], values[place]
    else:
        field.value[1] = values * chance.choice([2, 16, 200])


def _change(nodes: list[Field], chance: random.Random) -> None:
    field = chance.choice(nodes)
    if chance.random() < 0.05:
        field.number += chance.choice([1, -1, 5])
    elif field.kind in (_LIST, _SET):
        _change_list(field, chance)
    elif field.kind in _INTEGERS:
        field.value = _odd_number(field.value, nodes, chance)
    elif field.kind == _BINARY:
        names = [node.value for node in nodes if node.kind == _BINARY]
        field.value = chance.choice([b"", b"\xff\xfe", b"a\0b", b"x" * 500, chance.choice(names), field.value[:-1], field.value + b"_"])
    elif field.kind in (_TRUE, _FALSE):
        field.kind = _TRUE + _FALSE - field.kind
    elif field.kind == _STRUCT and field.value:
        del field.value[chance.randrange(len(field.value))]


def nested(data: bytes, depth: int) -> bytes:
    """Return a Parquet file whose first column is said to lie ``depth`` groups deep, each the only child of the one before."""
    footer = parsed(data)
    schema = next(field for field in footer if field.number == 2).value[1]
    schema[1:1] = [[Field(3, _I32, 0), Field(4, _BINARY, b"g"), Field(5, _I32, 1)] for _ in range(depth)]
    return with_footer(data, footer)


def claiming(data: bytes, rows: int) -> bytes:
    """Return a Parquet file that claims to have so many rows, in its first row group and in all."""
    footer = parsed(data)
    groups = next(field for field in footer if field.number == 4).value[1]
    for of in (footer, groups[0]):
        next(field for field in of if field.number == 3).value = rows
    return with_footer(data, footer)


def mutate_parquet(data: bytes, chance: random.Random) -> bytes:
    """Return a Parquet file with one to three lies: mostly in its footer, else in its pages, its lengths, or its end."""
    for _ in range(chance.randint(1, 3)):
        act = chance.random()
        try:
            if act < 0.75:
                footer = parsed(data)
                _change(_nodes(footer, []), chance)
                data = with_footer(data, footer)
                continue
            if act < 0.76:
                data = nested(data, chance.choice([1, 30, 300]))
                continue
        except (ValueError, IndexError, TypeError, struct.error, StopIteration):  # what a change before has made of it
            pass
        place = chance.randrange(len(data) + 1)
        if act < 0.78:
            data = data[:place]
        elif act < 0.80:
            data = data[:-8] + struct.pack("<I", chance.choice([0, 1, len(data), len(data) // 2, 0xFFFFFFFF, 0x7FFFFFFF])) + data[-4:]
        else:
            data = data[:place] + bytes([chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])]) + data[place + 1 :]
    return data
