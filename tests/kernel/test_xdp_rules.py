"""Each rule against frames made by hand: by the kernel's test-run of programs, and across a cable in either mode."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from recorder import bpf_call, drops
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compilations import declarations, kernel_flags
from recorder.compiler import compile_source
from recorder.interfaces import Interface
from recorder.session import Options
from recorder.tracers import xdp
from recorder.tracers.xdp import Dropper, Kind
from tests.kernel.frames import EXPECTED, FRAMES, names, packet_socket
from tests.kernel.harness import recorder
from tests.kernel.net import Namespace, bare_cable, namespace

# linux/bpf.h
XDP_DROP, XDP_PASS = 1, 2
NOWHERE = Interface("nowhere", 0, is_up=True, has_ethernet=True)


@cache
def _environment() -> tuple[str, tuple[str, ...]]:
    btf = Btf.of_running_kernel()
    return declarations(btf), tuple(kernel_flags(btf, Options(Path(), ())))


@contextmanager
def loaded(*rules: str) -> Iterator[tuple[BpfProgram, Dropper]]:
    """Load the program for ``rules`` and attach it to nothing."""
    types, flags = _environment()
    parsed = [drops.parse_one(f"{rule}@x")[0] for rule in rules]
    program = BpfProgram("xdp.c", compile_source("xdp.c", types, [*flags, *xdp.flags(parsed)]))
    try:
        yield program, Dropper(program, NOWHERE, parsed, None)
    finally:
        program.close()


def run(program: BpfProgram, frame: bytes, repeat: int = 1) -> int:
    return bpf_call.run_xdp(program.load(xdp.FUNCTION, bpf_call.XDP), frame, repeat)[0]


@pytest.mark.parametrize(("rules", "taken"), EXPECTED.items(), ids=lambda value: " + ".join(value)[:60])
def test_each_rule_takes_its_frames_and_no_other(rules: Sequence[str], taken: Sequence[str]) -> None:
    by_rule = {name: number for number, words in enumerate(taken) for name in names(words)}
    with loaded(*rules) as (program, dropper):
        verdicts = {name: run(program, frame) for name, frame in FRAMES.items()}
        counts = dropper.read()
    assert {name for name, found in verdicts.items() if found == XDP_DROP} == set(by_rule)
    assert {name for name, found in verdicts.items() if found == XDP_PASS} == set(FRAMES) - set(by_rule)
    packets, sizes = Counter(by_rule.values()), Counter[int]()
    for name, number in by_rule.items():
        sizes[number] += len(FRAMES[name])
    for number in range(len(rules)):
        of_rule = [count for kind, count in counts.dropped.items() if kind.rule == number]
        assert (sum(count for count, _ in of_rule), sum(size for _, size in of_rule)) == (packets[number], sizes[number]), rules[number]
    assert counts.passed == (len(FRAMES) - len(by_rule), sum(len(frame) for name, frame in FRAMES.items() if name not in by_rule))
    assert counts.uncounted == 0


def test_icmp_is_counted_by_type_and_code() -> None:
    with loaded("icmp", "icmp6") as (program, dropper):
        for name in ("ping", "ping", "pong", "prohibited", "odd type", "odd type", "ping, later fragment", "ping6", "neighbour"):
            assert run(program, FRAMES[name]) == XDP_DROP
        counts = {kind: packets for kind, (packets, _) in dropper.read().dropped.items() if packets}
    assert counts == {
        Kind(0, 8, 0): 2,
        Kind(0, 0, 0): 1,
        Kind(0, 3, 13): 1,
        Kind(0, 255, 255): 2,
        Kind(0): 1,
        Kind(1, 128, 0): 1,
        Kind(1, 135, 0): 1,
    }


def test_every_type_and_code_has_its_count() -> None:
    frame = bytearray(FRAMES["ping"])
    with loaded("icmp") as (program, dropper):
        for kind in range(0, 256, 5):
            for code in range(0, 256, 3):
                frame[34:36] = kind, code
                assert run(program, bytes(frame)) == XDP_DROP
        counts = {kind: packets for kind, (packets, _) in dropper.read().dropped.items() if packets}
    assert counts == {Kind(0, kind, code): 1 for kind in range(0, 256, 5) for code in range(0, 256, 3)}


@pytest.mark.parametrize(("rule", "low", "high"), [("icmp 25%", 24_000, 26_000), ("icmp 0.01%", 1, 40), ("icmp 99.99%", 99_960, 99_999)])
def test_a_share_of_the_packets_is_dropped_and_the_rest_passes(rule: str, low: int, high: int) -> None:
    with loaded(rule) as (program, dropper):
        run(program, FRAMES["ping"], 100_000)
        counts = dropper.read()
    dropped = counts.dropped.get(Kind(0, 8, 0), (0, 0))[0]
    assert low <= dropped <= high
    assert dropped + counts.passed[0] == 100_000


def test_what_one_rule_lets_go_is_for_the_next() -> None:
    with loaded("icmp 50%", "icmp") as (program, dropper):
        run(program, FRAMES["ping"], 10_000)
        counts = dropper.read()
    first, second = (counts.dropped[Kind(number, 8, 0)][0] for number in (0, 1))
    assert 4_500 <= first <= 5_500
    assert (first + second, counts.passed[0]) == (10_000, 0)


def test_as_many_rules_as_may_be_are_taken_by_the_kernel() -> None:
    rules = [
        f"{'tcp' if number % 2 else 'udp'}:{number + 1}-{number + 9} from 2001:db8:{number:x}::/48 to 2001:db8::{number:x} {number + 1}.5%"
        for number in range(drops.MOST_RULES - 2)
    ]
    with loaded("icmp 50%", *rules, "tcp:443") as (program, dropper):
        assert run(program, FRAMES["https over IPv6"]) == XDP_DROP
        assert dropper.read().dropped[Kind(drops.MOST_RULES - 1)][0] == 1


@pytest.fixture(scope="module")
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as one, namespace() as other:
        bare_cable(one, other)
        yield one, other


def seen(receiver: socket.socket, last: bytes) -> set[bytes]:
    """Return the Ethernet sources of the frames that came, up to that of ``last``."""
    found = set()
    while last not in found:
        found.add(receiver.recv(4096)[6:12])
    return found


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("rules", [("icmp", "icmp6", "tcp:8000-8100 from 10.1.0.0/16", "udp:53"), ("udp", "tcp:443")], ids=" + ".join)
def test_across_a_cable_the_other_side_sees_all_frames_but_those(
    tmp_path: Path, cable: tuple[Namespace, Namespace], mode: str, rules: Sequence[str]
) -> None:
    left, right = cable
    pairs = [(rule, words) for of_rules, taken in EXPECTED.items() for rule, words in zip(of_rules, taken, strict=True)]
    by_name = dict(reversed(pairs))  # where a rule is there twice, the first has no other in front
    expected = {rule: names(by_name[rule]) for rule in rules}
    source = {name: b"\x02\x00\x00\x00\x00" + bytes([number + 1]) for number, name in enumerate(FRAMES)}
    last = b"\x02\x00\x00\x00\x01\x00"
    options = [word for rule in rules for word in ("--drop", f"{rule}@right")]
    receiver, sender = packet_socket(right, "right"), packet_socket(left, "left")
    with receiver, sender, recorder(tmp_path / "r.bpftape", "--tracers", "xdp", "--xdp-mode", mode, *options, wrapper=right.inside()) as running:
        for name, frame in FRAMES.items():
            sender.send(frame[:6] + source[name] + frame[12:])
        sender.send(b"\xff" * 6 + last + b"\x88\xb5" + b"the last one")
        came = seen(receiver, last)
        recording = running.stop()
    taken = {name for taken in expected.values() for name in taken}
    assert came == {address for name, address in source.items() if name not in taken} | {last}
    rows = recording.table("xdp_drop")
    for rule in rules:
        found = [row for row in rows if row["rule"] == rule]
        assert sum(row["packets"] for row in found) == len(expected[rule]), rule
        assert sum(row["bytes"] for row in found) == sum(len(FRAMES[name]) for name in expected[rule]), rule
    assert {(row["interface"], row["mode"]) for row in rows} == {("right", mode)}
    assert sum(row["packets"] for row in recording.table("xdp_pass")) == len(FRAMES) - len(taken) + 1
