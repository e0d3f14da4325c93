"""The xdp tracer: drops packets by the rules of ``--drop``, one program an interface, and counts what it drops and what it lets through."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recorder import bpf_call
from recorder.errors import Exit, RecorderError
from recorder.tracers import Tracer

if TYPE_CHECKING:
    import numpy.typing as npt

    from recorder.bpf_program import BpfProgram
    from recorder.drops import Rule
    from recorder.filters import IPNetwork
    from recorder.interfaces import Interface

FUNCTION = "drop_packets"
TABLES = ("xdp_drop", "xdp_pass")

# bpf/xdp.c has the same.
_ICMP_TYPES, _ICMP_CODES = 256, 8
_RARE_KEY = struct.Struct("=IBBxx")

# Another program is there: by a link or by netlink, and in the other mode.
_TAKEN = (errno.EBUSY, errno.EEXIST)

TRACER = Tracer(
    doc="packets dropped on purpose, by --drop; and those let through meanwhile",
    probes=(),
    tables=lambda _: {},
    on_request=True,
)

Words = tuple[int, ...]


def _words(network: IPNetwork | None) -> tuple[Words, Words]:
    """Return a network and its mask as four words in the byte order of the wire; all of them 0 where there is none."""
    if network is None:
        return (0,) * 4, (0,) * 4
    first, mask = (struct.unpack(f"={len(part) // 4}I", part) + (0,) * 4 for part in (network.network_address.packed, network.netmask.packed))
    return first[:4], mask[:4]


def _initializer(rule: Rule) -> str:
    """Return what a rule is in ``struct rule`` of bpf/xdp.c: constants only."""
    low, high = (rule.ports[0], rule.ports[-1]) if rule.ports else (0, 0)
    words = [*_words(rule.source), *_words(rule.destination)]
    lists = ",".join("{" + ",".join(f"{word}U" for word in part) + "}" for part in words)
    return f"{{{rule.number},{rule.version},{low},{high},{rule.chance}U,{lists}}}"


def flags(rules: Sequence[Rule]) -> list[str]:
    """Return the compiler flags that make bpf/xdp.c a program for ``rules``."""
    icmp = int(any(rule.protocol.startswith("icmp") for rule in rules))
    constants = " ".join(f"RULE({number}, {_initializer(rule)})" for number, rule in enumerate(rules))
    return [f"-DRULE_COUNT={len(rules)}", f"-DRULES={constants}", f"-DICMP_RULES={icmp}"]


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What is counted by itself: a rule's number and, where a packet has them, type and code of ICMP."""

    rule: int
    type: int | None = None
    code: int | None = None


Count = tuple[int, int]
"""Packets and bytes."""


@dataclass(slots=True)
class Counts:
    """What one interface's program has counted since it was loaded."""

    dropped: dict[Kind, Count] = field(default_factory=dict)
    passed: Count = (0, 0)
    uncounted: int = 0
    """Packets that were dropped, and for whose type and code there was no room."""


class Dropper:
    """The program on one interface. It is on it between :meth:`attach` and :meth:`detach`, and never longer than this process."""

    def __init__(self, program: BpfProgram, interface: Interface, rules: Sequence[Rule], mode: str | None) -> None:
        """Load ``program``, compiled with :func:`flags` of ``rules``; ``mode`` is native, generic, or None for the best that there is."""
        program.load(FUNCTION, bpf_call.XDP)
        self.interface = interface
        self.rules = tuple(rules)
        self.mode: str | None = None
        self.reason: str | None = None
        """Why the mode is generic, where nobody asked for that."""
        self._program = program
        self._wanted = mode
        self._link = -1

    def attach(self) -> int:
        """Put the program on the interface; return its id. Raise RecorderError where the kernel refuses, or another program is there."""
        name = self.interface.name
        for mode in [self._wanted] if self._wanted else ["native", "generic"]:
            try:
                program_id, self._link = self._program.attach_xdp(FUNCTION, self.interface.index, mode)
            except OSError as error:
                if error.errno in _TAKEN:
                    self._name_program()
                if error.errno == errno.ENODEV:
                    raise RecorderError(f"there is no interface {name} any more", "see: ip link", Exit.BPF) from error
                if mode == "generic" or self._wanted:
                    hint = "try: --xdp-mode generic, or leave it out" if mode == "native" else "See: bpftape doctor"
                    raise RecorderError(f"{name} takes no XDP program in {mode} mode: {error.strerror}", hint, Exit.BPF) from error
                self.reason = f"no native mode: {error.strerror}"
            else:
                self.mode = mode
                return program_id
        raise AssertionError("generic mode attaches or raises")

    def _name_program(self) -> None:
        """Raise RecorderError which names the program that is on the interface, if there is one."""
        from recorder.interfaces import interfaces, require_free

        if found := interfaces().get(self.interface.name):
            require_free(found)

    def is_attached(self) -> bool:
        """Say whether the program is on the interface. It is not when that has gone."""
        return self._link >= 0 and bpf_call.linked_interface(self._link) != 0

    def detach(self) -> None:
        """Take the program off; its counts stay."""
        if self._link >= 0:
            self._program.close_link(self._link)
            self._link = -1

    def read(self) -> Counts:
        """Return what was counted since the program was loaded."""
        plain = self._sums("counts", len(self.rules) + 2, 1)[:, 0]
        counts = Counts(passed=_pair(plain[len(self.rules)]), uncounted=int(plain[len(self.rules) + 1][0]))
        for number, rule in enumerate(self.rules):
            counts.dropped[Kind(number)] = _pair(plain[number])
            if rule.protocol.startswith("icmp"):
                counts.dropped.update(self._icmp(number))
        if any(rule.protocol.startswith("icmp") for rule in self.rules):
            counts.dropped.update(self._rare())
        return counts

    def _sums(self, table: str, elements: int, columns: int, first: int = 0) -> npt.NDArray[Any]:
        """Return elements of an array of counts, summed over the CPUs: element, column, (packets, bytes)."""
        import numpy as np

        raw = b"".join(self._program.per_cpu(table, struct.pack("=I", first + number)) for number in range(elements))
        sums: npt.NDArray[Any] = np.frombuffer(raw, np.uint64).reshape(elements, -1, columns, 2).sum(axis=1)
        return sums

    def _icmp(self, number: int) -> Iterator[tuple[Kind, Count]]:
        (found,) = self._sums("icmp_counts", 1, _ICMP_TYPES * _ICMP_CODES, number)
        for place in found[:, 0].nonzero()[0]:
            yield Kind(number, int(place) // _ICMP_CODES, int(place) % _ICMP_CODES), _pair(found[place])

    def _rare(self) -> Iterator[tuple[Kind, Count]]:
        import numpy as np

        for key in self._program.keys("rare"):
            found = np.frombuffer(self._program.per_cpu("rare", key), np.uint64).reshape(-1, 2).sum(axis=0)
            yield Kind(*_RARE_KEY.unpack(key)), _pair(found)


def _pair(found: npt.NDArray[Any]) -> Count:
    return int(found[0]), int(found[1])
