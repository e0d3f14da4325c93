"""Tell ephemeral ports together: who listens on another one each time, or connects to it, is not new each time.

Which ports a host gives away is not in its recording, let alone which a destination does. So it is all that systems take by default: Linux those from
32768 on (ip_local_port_range), others those from 49152 to the last one (RFC 6335). One that both recordings have is compared by itself, and so is one
that somebody listens on in both: that is no accident.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.diff.aspect import Side, Thing, together

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

FIRST, LAST = 32_768, 65_535

_LISTENING = f"""
SELECT sport FROM tcp_socket WHERE state = 'listen' AND sport >= {FIRST}
UNION SELECT sport FROM tcp_accept WHERE sport >= {FIRST}
"""


def has_ports(side: Side) -> bool:
    """Say whether an ephemeral port is in any name."""
    return any(thing.port is not None and thing.port >= FIRST for thing in side.things.values())


def listening(sandbox: Sandbox) -> frozenset[int]:
    """Return the ephemeral ports that somebody listens on in the sandbox's recordings, as far as they tell."""
    return frozenset(port for (port,) in sandbox.rows(_LISTENING, ["tcp_socket", "tcp_accept"]))


def fold(a: Side, b: Side, listening_in_both: Collection[int]) -> tuple[Side, Side, int]:
    """Return both sides, with things that differ in an ephemeral port only as one, and how many these were; a single one stays by itself."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for number, (side, other) in enumerate(((a, b), (b, a))):
        for what, thing in side.things.items():
            if thing.family is not None and what not in other.things and _is_ephemeral(thing, listening_in_both):
                families.setdefault(thing.family, ([], []))[number].append(what)
    many = {family: found for family, found in families.items() if len(found[0]) + len(found[1]) > 1}
    names = {family: _name(family, *map(len, found)) for family, found in many.items()}
    sides = [
        replace(side, things=_with(side.things, {what: names[family] for family, found in many.items() for what in found[number]}))
        for number, side in enumerate((a, b))
    ]
    return sides[0], sides[1], sum(len(first) + len(second) for first, second in many.values())


def note(counts: dict[str, int]) -> list[str]:
    """Return what to know of the ports that were told together, of which ``counts`` says how many an aspect had; nothing where there were none."""
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return [f"ports from {FIRST} to {LAST} that only one of both has are told together ({told}); --each-port tells each"] if told else []


def _is_ephemeral(thing: Thing, listening_in_both: Collection[int]) -> bool:
    return thing.port is not None and thing.port >= FIRST and thing.port not in listening_in_both


def _name(family: str, of_a: int, of_b: int) -> str:
    count = f"{of_a:,} ports in A, {of_b:,} in B" if of_a and of_b else f"{of_a + of_b:,} ports"
    return f"{family} port {FIRST}-{LAST} ({count})"


def _with(things: dict[str, Thing], names: dict[str, str]) -> dict[str, Thing]:
    """Return ``things`` of which those in ``names`` are called so: one, where several are called the same."""
    found: dict[str, list[Thing]] = {}
    for what, thing in things.items():
        found.setdefault(names.get(what, what), []).append(thing)
    return {name: together(several) for name, several in found.items()}
