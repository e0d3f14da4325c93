"""Every way in which connect(2) can fail is one row, with the errno that the program got; both ways to read the arguments of the call."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EACCES, EADDRNOTAVAIL, ECONNREFUSED, EHOSTUNREACH, EINVAL, ENETUNREACH, ETIMEDOUT

import pytest

from tests.kernel.harness import GIVES_WAY, PROGRAMS, Recording, Row, kernel_knows, launched, recorder
from tests.kernel.net import Namespace, Program, add_cable, assert_complete, assert_told, namespace, of, only, tcp_program, told

# Where to, which port, and what connect(2) says to that. Ports tell the cases apart, and some of them have a fate (programs/attempts.py).
CASES = {
    "refused": ("127.0.0.1", 5000, ECONNREFUSED),
    "refused v6": ("::1", 5001, ECONNREFUSED),
    "refused v4-mapped": ("::ffff:127.0.0.1", 5002, ECONNREFUSED),
    "port 0": ("127.0.0.1", 0, ECONNREFUSED),
    "timed out": ("127.0.0.1", 5100, ETIMEDOUT),
    "timed out v6": ("::1", 5101, ETIMEDOUT),
    "host unreachable by ICMP": ("127.0.0.1", 5200, EHOSTUNREACH),
    "host unreachable by ICMPv6": ("::1", 5201, EHOSTUNREACH),
    "no such neighbour": ("10.77.0.9", 1001, EHOSTUNREACH),
    "no such neighbour v6": ("fd77::9", 1002, EHOSTUNREACH),
    "unreachable route": ("10.78.1.1", 1003, EHOSTUNREACH),
    "unreachable route v6": ("fd78:1::1", 1004, EHOSTUNREACH),
    "blackhole route": ("10.78.2.1", 1005, EINVAL),
    "blackhole route v6": ("fd78:2::1", 1006, EINVAL),
    "prohibited route": ("10.78.3.1", 1007, EACCES),
    "prohibited route v6": ("fd78:3::1", 1008, EACCES),
    "no route": ("192.0.2.1", 1009, ENETUNREACH),
    "no route v6": ("2001:db8::1", 1010, ENETUNREACH),
    "no route v4-mapped": ("::ffff:192.0.2.1", 1011, ENETUNREACH),
    "broadcast": ("10.77.0.255", 1012, ENETUNREACH),
    "multicast": ("224.0.0.1", 1013, ENETUNREACH),
    "multicast v6": ("ff02::1%left", 1014, ENETUNREACH),
    "link-local without an interface": ("fe80::9", 1015, EINVAL),
}
AT_ONCE = {"unreachable route", "blackhole route", "prohibited route", "no route", "broadcast", "multicast", "link-local"}
NO_PORT = {"127.0.0.1": 5400, "::1": 5401}


@dataclass(frozen=True)
class Failures:
    recording: Recording
    namespace: Namespace
    tried: dict[str, Row]
    """By case."""
    without_port: list[Row]


def add_routes(place: Namespace) -> None:
    for number, kind in enumerate(("unreachable", "blackhole", "prohibit"), 1):
        place.ip("route", "add", kind, f"10.78.{number}.0/24")
        place.ip("-6", "route", "add", kind, f"fd78:{number}::/64")


def without_ports(place: Namespace) -> list[Row]:
    """Connect three times to a listener where there are two ports, and have it once per family."""
    place.configure({"net.ipv4.ip_local_port_range": "40000 40001"})
    cases = [(f"{host} {number}", host, port, False) for host, port in NO_PORT.items() for number in range(3)]
    with Program(place.inside(*tcp_program("listens", json.dumps(list(NO_PORT.items()))))) as server:
        server.hear()
        with Program(place.inside(*tcp_program("connects", json.dumps(cases)))) as client:
            tried: list[Row] = client.hear()
    return tried


# How the arguments of connect(2) are read. There is one way only where the kernel keeps registers from programs (before 5.15), and where it may
# leave out the program at the call's entry, which is for such kernels.
WAYS = (*(["registers"] if kernel_knows("BPF_FUNC_task_pt_regs") else []), *([] if GIVES_WAY else ["sys_enter_connect"]))
OLD_KERNEL = (sys.executable, "-P", str(PROGRAMS / "old_kernel.py"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Failures]]:
    """Have the same attempts recorded twice at once: by a recorder that reads the arguments of connect(2) from registers, and by one that cannot."""
    folder = tmp_path_factory.mktemp("errors")
    with namespace() as place, namespace() as other:
        add_cable(place, other)
        add_routes(place)
        # Half of them know their port before, so that the program can tell it.
        cases = [(case, host, port, number % 2) for number, (case, (host, port, _)) in enumerate(CASES.items())]
        with (
            launched(folder / "old.bpftape", "--tracers", "tcp", wrapper=OLD_KERNEL) as old,
            recorder(folder / "new.bpftape", "--tracers", "tcp") as new,
        ):
            old.errors.wait_for("^recording ")
            with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as client:
                tried = {row["case"]: row for row in client.hear()}
            without_port = without_ports(place)
            recordings = {"registers": new.stop(), "sys_enter_connect": old.stop()}
        yield {how: Failures(recording, place, tried, without_port) for how, recording in recordings.items()}


@pytest.fixture(scope="module", params=WAYS)
def failures(request: pytest.FixtureRequest, both: dict[str, Failures]) -> Failures:
    found = both[request.param]
    hooks = [row["hook"] for row in found.recording.table("probe")]
    assert ("tracepoint:syscalls:sys_enter_connect" in hooks) is (request.param == "sys_enter_connect"), "this is the way that was asked for"
    return found


def test_each_fails_as_it_should(failures: Failures) -> None:
    assert {case: row["errno"] for case, row in failures.tried.items()} == {case: errno for case, (_, _, errno) in CASES.items()}


def test_each_attempt_is_one_row_with_the_errno_of_the_call(failures: Failures) -> None:
    assert len(failures.tried) == 23
    assert_told(failures.recording, list(failures.tried.values()))
    assert_complete(failures.recording)


@pytest.mark.parametrize("case", CASES)
def test_a_row_is_of_the_call(failures: Failures, case: str) -> None:
    tried = failures.tried[case]
    row = only(of(failures.recording, "tcp_connect", pid=tried["pid"], dport=tried["dport"]))
    assert row["family"] == (4 if "." in CASES[case][0] else 6)
    assert row["net_ns"] == failures.namespace.inode
    assert tried["before_ns"] <= row["ts_ns"] <= tried["after_ns"]
    assert (row["is_fastopen"], row["is_mptcp"]) == (False, False)
    if any(case.startswith(name) for name in AT_ONCE):
        assert row["syn_ns"] is None
    else:
        assert tried["before_ns"] <= row["syn_ns"] <= row["ts_ns"]
        assert 32_768 <= row["sport"] <= 60_999, "that of the SYN, also where connect(2) chose it"


def test_no_local_port_is_left_for_the_third_connect(failures: Failures) -> None:
    made = failures.without_port
    assert [row["errno"] for row in made] == [0, 0, EADDRNOTAVAIL] * 2
    assert_told(failures.recording, made)
    assert {row["sport"] for attempt, row in told(failures.recording, made) if not attempt["errno"]} == {40_000, 40_001}
    assert [row["daddr"] for row in of(failures.recording, "tcp_connect", errno=EADDRNOTAVAIL)] == ["127.0.0.1", "::1"]
