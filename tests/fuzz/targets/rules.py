"""Rules of --drop, one a line, held against the interfaces and the SSH session that the last two lines tell of."""

from __future__ import annotations

import contextlib
import os

from recorder import drops, ssh
from recorder.errors import RecorderError
from recorder.interfaces import Interface, carriers, find
from recorder.tracers.xdp import flags
from tests.fuzz.target import Target


def run(data: bytes) -> None:
    *rules, links, session = ["", "", *os.fsdecode(data).split("\n")]
    known = {
        name: Interface(name, number, is_up=number % 5 != 1, has_ethernet=number % 7 != 3, below=number // 2, master=number // 3)
        for number, name in enumerate(links.split())
    }
    for name in known:
        carriers(name, known)
    caller = ssh.parse(session)
    parsed = drops.parse([rule for rule in rules if rule], None, None, None, None)
    for name, of_interface in parsed.rules.items():
        flags(of_interface)
        with contextlib.suppress(RecorderError):
            find(name, known)
        if caller:
            [ssh.cuts(rule, caller) for rule in of_interface]


TARGET = Target(
    run,
    lambda: [
        b"icmp@lo\ntcp:5432 from 10.0.0.0/8 25%@eth0\nlo eth0 eth1 eth2 br0\n10.1.2.3 50022 10.0.0.1 22",
        b"udp:8000-8100 to 2001:db8::/32 0.5%@br0\nicmp6@eth0\nlo eth0\nfe80::1%eth0 4 ::ffff:10.0.0.1 22",
    ],
    words=(b"icmp6", b"tcp:", b"udp:", b" from ", b" to ", b"%", b"@lo", b"10.0.0.0/8", b"::/0", b"::ffff:1.2.3.4/128", b"0-65535", b"\n"),
)
