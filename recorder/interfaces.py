"""The network interfaces of this net namespace, as the kernel's rtnetlink tells of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from recorder import bpf_call
from recorder.errors import Exit, RecorderError

# linux/if_arp.h, linux/if.h
_ETHERNET, _LOOPBACK = 1, 772
_IFF_UP = 1


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. ``below`` is the index of the one that carries its frames (VLANs), ``master`` that of the one whose port it is."""

    name: str
    index: int
    is_up: bool
    has_ethernet: bool
    programs: tuple[int, ...] = ()
    """Ids of the XDP programs that are there."""
    below: int | None = None
    master: int | None = None


def interfaces() -> dict[str, Interface]:
    """Return all interfaces by name. Raise OSError where the kernel does not tell."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        found = [_interface(link) for link in route.get_links()]
    return {interface.name: interface for interface in found}


def _interface(link: dict[str, object]) -> Interface:
    attributes = dict(link["attrs"])  # type: ignore[call-overload]
    here = "IFLA_LINK_NETNSID" not in attributes  # else the index is one of another namespace
    return Interface(
        name=attributes["IFLA_IFNAME"],
        index=int(str(link["index"])),
        is_up=bool(int(str(link["flags"])) & _IFF_UP),
        has_ethernet=link["ifi_type"] in (_ETHERNET, _LOOPBACK),
        programs=tuple(_programs(attributes.get("IFLA_XDP"))),
        below=attributes.get("IFLA_LINK") if here else None,
        master=attributes.get("IFLA_MASTER"),
    )


def _programs(xdp: dict[str, list[tuple[str, int | None]]] | None) -> Iterator[int]:
    """Yield the ids in IFLA_XDP, each once: IFLA_XDP_PROG_ID, and one a mode where there are several."""
    yield from dict.fromkeys(value for name, value in (xdp or {"attrs": []})["attrs"] if name.endswith("PROG_ID") and value)


def find(name: str, known: dict[str, Interface]) -> Interface:
    """Return the interface called ``name`` where packets can be dropped on it; raise RecorderError, with what to do, where not."""
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise RecorderError(f"there is no interface {name}", f"{hint}There are: {', '.join(known)}")
    interface = known[name]
    if not interface.has_ethernet:
        raise RecorderError(f"{name} has no Ethernet frames, which is what the rules look into", "drop on the interface that its packets leave by")
    if not interface.is_up:
        raise RecorderError(f"{name} is down, no packet comes there", f"try: ip link set {name} up")
    require_free(interface)
    return interface


def require_free(interface: Interface) -> None:
    """Raise RecorderError (exit 70) where an XDP program is on ``interface`` already, and name it. Nothing is ever displaced."""
    if interface.programs:
        named = [(program, bpf_call.program_name(program)) for program in interface.programs]
        there = ", ".join(f"{program} ({name})" if name else str(program) for program, name in named)
        hint = f"it stays where it is. See: bpftool prog show id {interface.programs[0]}; to remove it: ip link set {interface.name} xdp off"
        raise RecorderError(f"{interface.name} has an XDP program already: id {there}", hint, Exit.BPF)


def carriers(name: str, known: dict[str, Interface]) -> set[str]:
    """Return the interfaces whose packets become those of ``name``: itself, what is below it (VLAN), and its ports (bridge, bond)."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        interface = known.get(waiting.pop())
        if interface is None or interface.name in found:
            continue
        found.add(interface.name)
        waiting += [other.name for other in known.values() if other.index == interface.below or other.master == interface.index]
    return found
