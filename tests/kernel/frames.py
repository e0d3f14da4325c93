"""Frames made by hand with scapy, and what a rule is expected to do with each; sockets that see them on either side."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from tests.kernel.net import Namespace

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33

T = TypeVar("T")


def _cut(packet: Any, size: int) -> bytes:
    return bytes(packet)[:size]


_E = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:00")
_V4, _V6 = IP(src="10.1.2.3", dst="10.9.0.1"), IPv6(src="2001:db8::1", dst="2001:db8:9::1")
_HTTPS, _WEB, _DNS = TCP(sport=40000, dport=443), TCP(sport=40001, dport=8080), UDP(sport=40002, dport=53)
_PING, _PING6 = ICMP(type=8, code=0) / Raw(b"x" * 40), ICMPv6EchoRequest(data=b"x" * 40)
_TWO = IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()

FRAMES: dict[str, bytes] = {
    name: bytes(frame)
    for name, frame in {
        "ping": _E / _V4 / _PING,
        "pong": _E / _V4 / ICMP(type=0, code=0),
        "prohibited": _E / _V4 / ICMP(type=3, code=13) / Raw(b"x" * 28),
        "odd type": _E / _V4 / ICMP(type=255, code=255),
        "ping with IP options": _E / IP(src="10.1.2.3", dst="10.9.0.1", options=IPOption(b"\x01" * 40)) / _PING,
        "ping in a VLAN": _E / Dot1Q(vlan=7) / _V4 / _PING,
        "ping in two VLANs": _E / Dot1AD(vlan=9) / Dot1Q(vlan=7) / _V4 / _PING,
        "ping in three VLANs": _E / Dot1AD(vlan=9) / Dot1Q(vlan=8) / Dot1Q(vlan=7) / _V4 / _PING,
        "ping, first fragment": _E / IP(src="10.1.2.3", dst="10.9.0.1", id=7, flags="MF") / _PING,
        "ping, later fragment": _E / IP(src="10.1.2.3", dst="10.9.0.1", id=7, frag=6, proto=1) / Raw(b"\x08\x00" * 12),
        "ping, padded": bytes(_E / _V4 / ICMP()) + bytes(40),
        "ping, cut in ICMP": _cut(_E / _V4 / _PING, 14 + 20 + 6),
        "ping, cut in its data": _cut(_E / _V4 / _PING, 14 + 20 + 20),
        "ping, cut in IP": _cut(_E / _V4 / _PING, 14 + 12),
        "ping, short ICMP, padded": bytes(_E / IP(src="10.1.2.3", dst="10.9.0.1", len=24, proto=1) / Raw(b"\x08\x00\x00\x00")) + bytes(30),
        "ping, length below its header": _E / IP(src="10.1.2.3", dst="10.9.0.1", len=16) / _PING,
        "ping, header below 20 bytes": _E / IP(src="10.1.2.3", dst="10.9.0.1", ihl=4) / _PING,
        "ping, version 5": _E / IP(src="10.1.2.3", dst="10.9.0.1", version=5) / _PING,
        "ping6 in IPv4": _E / IP(src="10.1.2.3", dst="10.9.0.1", proto=58) / Raw(b"\x80\x00" + bytes(20)),
        "https": _E / _V4 / _HTTPS,
        "https, answer": _E / IP(src="10.9.0.1", dst="10.1.2.3") / TCP(sport=443, dport=40000, flags="SA"),
        "https with TCP options": _E / _V4 / TCP(sport=40000, dport=443, options=[("MSS", 1460), ("WScale", 7)]),
        "https, first fragment": _E / IP(src="10.1.2.3", dst="10.9.0.1", flags="MF") / _HTTPS / Raw(b"x" * 12),
        "https, later fragment": _E / IP(src="10.1.2.3", dst="10.9.0.1", frag=4, proto=6) / Raw(bytes(_HTTPS)),
        "https, cut in TCP": _cut(_E / _V4 / _HTTPS, 14 + 20 + 12),
        "web": _E / _V4 / _WEB,
        "web from elsewhere": _E / IP(src="10.2.0.9", dst="10.9.0.1") / _WEB,
        "dns": _E / _V4 / _DNS,
        "dns, later fragment": _E / IP(src="10.1.2.3", dst="10.9.0.1", frag=2, proto=17) / Raw(bytes(_DNS)),
        "dns, cut in UDP": _cut(_E / _V4 / _DNS, 14 + 20 + 6),
        "ping6": _E / _V6 / _PING6,
        "neighbour": _E / _V6 / ICMPv6ND_NS(tgt="2001:db8:9::1"),
        "ping6 in a VLAN": _E / Dot1Q(vlan=7) / _V6 / _PING6,
        "ping6 behind hop-by-hop": _E / _V6 / IPv6ExtHdrHopByHop() / _PING6,
        "ping6 behind four headers": _E / _V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / _TWO / _PING6,
        "ping6 behind authentication": _E / _V6 / AH(nh=58, payloadlen=4, icv=b"x" * 12) / _PING6,
        "ping6 behind five headers": _E / _V6 / _TWO / _TWO / IPv6ExtHdrDestOpt() / _PING6,
        "ping6, first fragment": _E / _V6 / IPv6ExtHdrFragment(m=1, offset=0, id=1) / _PING6,
        "ping6, later fragment": _E / _V6 / IPv6ExtHdrFragment(m=0, offset=5, id=1, nh=58) / Raw(b"\x80\x00" * 12),
        "ping6, cut in ICMP": _cut(_E / _V6 / _PING6, 14 + 40 + 4),
        "ping6, cut in a header": _cut(_E / _V6 / IPv6ExtHdrHopByHop() / _PING6, 14 + 40 + 6),
        "ping in IPv6": _E / IPv6(src="2001:db8::1", dst="2001:db8:9::1", nh=1) / Raw(b"\x08\x00" + bytes(20)),
        "https over IPv6": _E / _V6 / _HTTPS,
        "https over IPv6, fragment": _E / _V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(m=1, offset=0, id=2) / _HTTPS,
        "dns over IPv6": _E / _V6 / _DNS,
        "arp": _E / ARP(pdst="10.9.0.1"),
        "nothing": bytes(_E)[:12] + b"\x08\x00",
        "unknown type": Ether(src="02:00:00:00:00:00", dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / Raw(bytes(_V4 / _PING)),
    }.items()
}

_ICMP = """ping | pong | prohibited | odd type | ping with IP options | ping in a VLAN | ping in two VLANs
    | ping, first fragment | ping, later fragment
    | ping, padded"""
_ICMP6 = """ping6 | neighbour | ping6 in a VLAN | ping6 behind hop-by-hop | ping6 behind four headers | ping6 behind authentication
    | ping6, first fragment | ping6, later fragment"""
_HTTPS_ALL = """https | https, answer | https with TCP options | https, first fragment | https over IPv6 | https over IPv6, fragment"""
_TCP4 = "https | https, answer | https with TCP options | https, first fragment | https, later fragment | web | web from elsewhere"

# Rules of one interface, and by each of them the frames that it takes. All others pass.
EXPECTED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("icmp",): (_ICMP,),
    ("icmp6",): (_ICMP6,),
    ("tcp",): (_TCP4 + " | https over IPv6 | https over IPv6, fragment",),
    ("tcp:443",): (_HTTPS_ALL,),
    ("tcp:8000-8100 from 10.1.0.0/16", "udp:53"): ("web", "dns | dns over IPv6"),
    ("udp", "icmp from 10.0.0.0/8 to 10.9.0.1"): ("dns | dns, later fragment | dns over IPv6", _ICMP),
    ("tcp from 10.9.0.1", "tcp to 2001:db8:9::/48", "icmp6 from 2001:db9::/32", "udp:1-52"): (
        "https, answer",
        "https over IPv6 | https over IPv6, fragment",
        "",
        "",
    ),
    ("tcp from 10.1.2.0/30", "tcp:443", "tcp"): (
        "https | https with TCP options | https, first fragment | https, later fragment | web",
        "https, answer | https over IPv6 | https over IPv6, fragment",
        "web from elsewhere",
    ),
}


def names(words: str) -> list[str]:
    """Return the names of frames in ``words``; each of them is a frame."""
    found = [" ".join(word.split()) for word in words.split("|") if word.strip()]
    assert set(found) <= set(FRAMES), set(found) - set(FRAMES)
    return found


def within(namespace: Namespace, function: Callable[[], T]) -> T:
    """Call ``function`` in a thread that is in the net namespace, and return what it returns; sockets made there stay there."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            fd = os.open(f"/run/netns/{namespace.name}", os.O_RDONLY)
            try:
                if libc.setns(fd, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def packet_socket(namespace: Namespace, interface: str) -> socket.socket:
    """Return a socket that sends frames out of an interface, and sees those that come in by it, behind XDP."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        made.bind((interface, _ETH_P_ALL))
        made.settimeout(1.0)
        return made

    return within(namespace, make)
