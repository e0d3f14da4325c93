"""What a recording and a witness can agree about: one fact a row, in words that both can say.

A witness that cannot tell something leaves it ``None``. Process ids are used again, so a process is its id and how many had that before it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple


class Process(NamedTuple):
    pid: int
    before: int
    """Processes of the workload that had this id before."""


class End(NamedTuple):
    """One end of a connection; a v4-mapped address is one of IPv4."""

    address: str
    port: int


Ends = tuple[End, End]
"""Local end and peer of a connection."""


@dataclass(frozen=True, slots=True)
class Clone:
    process: Process
    tid: int
    child_tid: int
    child: Process | None
    """None: a thread."""
    flags: int


@dataclass(frozen=True, slots=True)
class Exec:
    process: Process
    filename: str
    argv: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Exit:
    process: Process
    exit_code: int | None
    signal: int | None
    core_dumped: bool | None


@dataclass(frozen=True, slots=True)
class Connect:
    process: Process
    tid: int
    local: End | None
    peer: End
    outcome: str | None
    errno: int | None


@dataclass(frozen=True, slots=True)
class Accept:
    process: Process
    tid: int
    local: End
    peer: End


@dataclass(frozen=True, slots=True)
class Close:
    process: Process | None
    """That which had connected or accepted."""
    tid: int | None
    direction: str
    local: End
    peer: End


Fact = Clone | Exec | Exit | Connect | Accept | Close


def kind(fact: Fact) -> str:
    """Return the name of a fact's kind, in small letters."""
    return type(fact).__name__.lower()


def end(address: bytes | str, port: int) -> End:
    """Return an end of a connection, its address in canonical text."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return End(str(found), port)
