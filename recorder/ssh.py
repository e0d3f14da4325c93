"""The SSH session that this process is typed in, and whether dropping packets would cut it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from recorder.drops import Rule
from recorder.errors import RecorderError
from recorder.interfaces import Interface, carriers

_VARIABLE = "SSH_CONNECTION"


@dataclass(frozen=True, slots=True)
class Session:
    """One SSH session, seen from here: ``peer`` is the client."""

    peer: ipaddress.IPv4Address | ipaddress.IPv6Address
    peer_port: int
    local: ipaddress.IPv4Address | ipaddress.IPv6Address
    local_port: int
    zone: str | None = None


def parse(text: str) -> Session | None:
    """Return the session that a value of SSH_CONNECTION is of; None where it cannot be read."""
    try:
        peer, peer_port, local, local_port = text.split()
        zone = peer.partition("%")[2] or local.partition("%")[2] or None
        return Session(_address(peer), int(peer_port), _address(local), int(local_port), zone)
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def of_caller() -> Session | None:
    """Return the session that this process belongs to. sudo takes the variable away, so the environments of its ancestors are asked, too."""
    return next((session for text in _values() if (session := parse(text))), None)


def _values() -> Iterator[str]:
    if _VARIABLE in os.environ:
        yield os.environ[_VARIABLE]
    import psutil

    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            with suppress(psutil.Error, OSError):
                if value := process.environ().get(_VARIABLE):
                    yield value


def interface_of(session: Session) -> str | None:
    """Return the name of the interface that has the session's own address; None where no one has (another net namespace, address translation)."""
    if session.zone:
        return session.zone
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            with suppress(ValueError):
                if _address(address.address) == session.local:
                    return str(name)
    return None


def interfaces_to(session: Session, known: Mapping[str, Interface]) -> set[str]:
    """Return the interfaces that the session's packets may come in by: that of its own address, and that of the route to its peer."""
    from pyroute2 import IPRoute, NetlinkError

    names = {interface_of(session)} - {None}
    with suppress(NetlinkError), IPRoute() as route:
        by_index = {interface.index: interface.name for interface in known.values()}
        for way in route.route("get", dst=str(session.peer)):
            names.add(by_index.get(way.get_attr("RTA_OIF")))
    return {carrier for name in names if name for carrier in carriers(name, dict(known))}


def cuts(rule: Rule, session: Session) -> bool:
    """Say whether ``rule`` drops packets that ``session`` cannot do without, be it a share of them."""
    if rule.protocol == "icmp6":  # neighbours are found by it
        return session.peer.version == 6
    return (
        rule.protocol == "tcp"
        and rule.version in (0, session.peer.version)
        and (rule.ports is None or session.peer_port in rule.ports or session.local_port in rule.ports)
        and (rule.source is None or session.peer in rule.source)
        and (rule.destination is None or session.local in rule.destination)
    )


def refuse_to_cut(rules: Mapping[str, tuple[Rule, ...]], known: Mapping[str, Interface]) -> None:
    """Raise RecorderError (exit 2) where ``rules`` by interface would cut the SSH session that this is typed in."""
    session = of_caller()
    if session is None:
        return
    carrying = interfaces_to(session, known)
    for interface, of_interface in rules.items():
        if interface in carrying and (rule := next((rule for rule in of_interface if cuts(rule, session)), None)):
            message = f"'{rule}' on {interface} would cut the SSH session from {session.peer} that this is typed in"
            raise RecorderError(message, "let the rule leave it out (by a port, or 'from CIDR'), or say --force")
