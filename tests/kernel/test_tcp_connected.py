"""Connects that arrive are one row each, with both ends as the socket itself has them; what is no attempt of TCP is none."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, Row, recorder, run_program
from tests.kernel.net import Namespace, Program, add_cable, assert_complete, assert_told, namespace, of, only, tcp_program, told

PORT = 5401
# Where to, then the scopes of both ends.
CASES = {
    "v4": ("127.0.0.1", "loopback", "loopback"),
    "v4 otherwise": ("127.0.0.53", "loopback", "loopback"),
    "v6": ("::1", "loopback", "loopback"),
    "v4-mapped": ("::ffff:127.0.0.1", "loopback", "loopback"),
    "unspecified": ("0.0.0.0", "loopback", "loopback"),
    "private": ("10.77.0.2", "private", "private"),
    "private v6": ("fd77::2", "private", "private"),
    "link-local": ("fe80::2%left", "link_local", "link_local"),
    "link-local v4": ("169.254.7.2", "private", "link_local"),
    "global": ("9.9.9.9", "global", "global"),
    "global v6": ("2620:fe::9", "global", "global"),
}


@dataclass(frozen=True)
class Connected:
    recording: Recording
    namespace: Namespace
    interface: int
    attempts: dict[str, Row]
    odd: list[Row]
    none: dict[str, str]
    none_pid: int


def lay(place: Namespace, other: Namespace) -> int:
    """Give addresses of every scope; return the index of the interface on this side."""
    add_cable(place, other)
    other.ip("address", "add", "fe80::2/64", "dev", "right", "nodad")
    other.ip("address", "add", "169.254.7.2/32", "dev", "right")
    place.ip("route", "add", "169.254.7.2/32", "dev", "left")
    for address in ("9.9.9.9/32", "2620:fe::9/128"):
        place.ip("address", "add", address, "dev", "lo")
    index: int = json.loads(place.ip("-j", "link", "show", "left"))[0]["ifindex"]
    return index


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Connected:
    with namespace() as place, namespace() as other:
        interface = lay(place, other)
        here, there = (Program(side.inside(*tcp_program("listens", json.dumps([["::", PORT]])))) for side in (place, other))
        with here, there, recorder(tmp_path_factory.mktemp("connected") / "r.bpftape", "--tracers", "tcp") as running:
            assert (here.hear(), there.hear()) == ([PORT], [PORT])
            cases = [(case, host, PORT, number % 2) for number, (case, (host, _, _)) in enumerate(CASES.items())]
            with Program(place.inside(*tcp_program("connects", json.dumps(cases)))) as client:
                attempts = client.hear()
            with Program(place.inside(*tcp_program("odd_connects"))) as client:
                odd = client.hear()
            none = run_program(place.inside(*tcp_program("no_attempts")))
            recording = running.stop()
        assert none.status == 0, none
        return Connected(recording, place, interface, {row["case"]: row for row in attempts}, odd, json.loads(none.output), none.pid)


def test_each_attempt_is_one_row(connected: Connected) -> None:
    assert len(connected.attempts) == 11
    assert {row["errno"] for row in connected.attempts.values()} == {0}
    assert_told(connected.recording, list(connected.attempts.values()))
    assert_complete(connected.recording)


@pytest.mark.parametrize("case", CASES)
def test_both_ends_are_those_of_the_socket(connected: Connected, case: str) -> None:
    host, saddr_scope, daddr_scope = CASES[case]
    attempt = connected.attempts[case]
    row = only(of(connected.recording, "tcp_connect", pid=attempt["pid"], sport=attempt["sport"]))
    assert (row["saddr"], row["sport"], row["dport"]) == (attempt["saddr"], attempt["sport"], PORT)
    assert row["daddr"] == ("127.0.0.1" if case == "unspecified" else host.partition("%")[0].removeprefix("::ffff:"))
    assert row["family"] == (4 if "." in host else 6)
    assert (row["saddr_scope"], row["daddr_scope"]) == (saddr_scope, daddr_scope)
    assert row["scope_id"] == (connected.interface if case == "link-local" else None)


def test_times_lie_within_the_call(connected: Connected) -> None:
    for attempt, row in told(connected.recording, list(connected.attempts.values())):
        assert attempt["before_ns"] <= row["syn_ns"] < row["ts_ns"] <= attempt["after_ns"]
        assert row["latency_ns"] == row["ts_ns"] - row["syn_ns"]


def test_a_socket_that_connects_to_itself_is_one_attempt(connected: Connected) -> None:
    attempts = [row for row in connected.odd if row["case"].startswith("to itself")]
    assert len(attempts) == 2
    assert_told(connected.recording, connected.odd)
    for attempt in attempts:
        assert attempt["sport"] == attempt["dport"]
        close = only(of(connected.recording, "tcp_close", pid=attempt["pid"], sport=attempt["sport"]))
        assert (close["direction"], close["dport"]) == ("outbound", attempt["sport"])


def test_two_that_connect_to_each_other_are_two_attempts_and_nobody_accepts(connected: Connected) -> None:
    first, second = (row for row in connected.odd if row["case"] == "to each other")
    assert (first["sport"], first["dport"]) == (second["dport"], second["sport"])
    closes = of(connected.recording, "tcp_close", pid=first["pid"], sport={first["sport"], second["sport"]})
    assert [(row["direction"], row["sport"], row["bytes_sent"]) for row in sorted(closes, key=lambda row: int(row["sport"]))] == [
        ("outbound", first["sport"], 3),
        ("outbound", second["sport"], 0),
    ]
    assert of(connected.recording, "tcp_accept", pid=first["pid"]) == []


def test_what_is_no_attempt_of_tcp_is_no_row(connected: Connected) -> None:
    assert connected.none == {
        "udp": "0",
        "udp, no route": "ENETUNREACH",
        "udp, broadcast": "EACCES",
        "udp6, no route": "ENETUNREACH",
        "icmp": "0",
        "icmp, no route": "ENETUNREACH",
        "unix, nobody": "ENOENT",
        "unix": "0",
        "a file": "ENOTSOCK",
        "a path": "EBADF",
        "no fd": "EBADF",
        "a negative fd": "EBADF",
        "a bad pointer": "EFAULT",
        "no pointer": "EFAULT",
        "a unix address": "EAFNOSUPPORT",
        "no family, not connected": "0",
        "a listener": "EISCONN",
        "connected already": "EISCONN",
        "accepted": "EISCONN",
    }
    rows = of(connected.recording, "tcp_connect", pid=connected.none_pid)
    assert [(row["outcome"], row["dport"]) for row in rows] == [("connected", 5407)], "the one that it really made"
    assert len(of(connected.recording, "tcp_accept", pid=connected.none_pid)) == 1
    ends = of(connected.recording, "tcp_close", pid=connected.none_pid)
    assert sorted(row["direction"] for row in ends) == ["inbound", "outbound"], "the listener's end is none"
