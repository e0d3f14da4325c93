"""Filters by endpoint choose in the kernel, in all tables of tcp alike: all rows that come are wanted, and all that are wanted come."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kernel.harness import Recording, Row, Running, launched, recorder, run_record
from tests.kernel.net import EVENTS, Namespace, Program, assert_complete, namespace, of, tcp_program
from tests.kernel.test_bad_input import refused

WEB, OTHER, NOBODY = 5400, 5410, 5000
TARGETS = [
    *((host, port, False) for host in ("127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1") for port in (WEB, OTHER)),
    ("127.0.0.1", NOBODY, True),
    ("::1", NOBODY, True),
    *((host, port, False) for host in ("10.78.1.1", "fd78:1::1") for port in (WEB, OTHER)),  # fail at once
]
Wanted = Callable[[int, str | None, int], bool]
"""Family, peer's address, port of the service."""


def within(address: str | None, network: str) -> bool:
    return address is not None and ipaddress.ip_address(address) in ipaddress.ip_network(network)


FILTERS: dict[str, Wanted] = {
    f"--port {WEB}": lambda _, __, port: port == WEB,
    f"--port 5405-{OTHER} --port {NOBODY}": lambda _, __, port: port in (OTHER, NOBODY),
    "--daddr 127.0.0.48/29 --daddr fd78::/16": lambda _, peer, __: within(peer, "127.0.0.48/29") or within(peer, "fd78::/16"),
    "--family 6": lambda family, _, __: family == 6,
    f"--family 4 --port {WEB} --daddr ::/0 --daddr 127.0.0.1": lambda family, peer, port: (family, peer, port) == (4, "127.0.0.1", WEB),
}


@dataclass
class Chosen:
    recordings: dict[str, Recording]
    place: Namespace
    before: list[Row]
    """Attempts from before the recordings."""
    during: list[Row] = field(default_factory=list)


def cases(targets: Sequence[tuple[str, int, bool]]) -> str:
    return json.dumps([(f"{host} {port}", host, port, bound) for host, port, bound in targets])


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chosen]:
    folder = tmp_path_factory.mktemp("chosen")
    with namespace() as place, ExitStack() as stack:
        for family, prefix in (("-4", "10.78.1.0/24"), ("-6", "fd78:1::/64")):
            place.ip(family, "route", "add", "unreachable", prefix)
        server = stack.enter_context(Program(place.inside(*tcp_program("listens", json.dumps([["::", WEB], ["::", OTHER]])))))
        server.hear()
        first = stack.enter_context(Program(place.inside(*tcp_program("connects", cases(TARGETS)))))
        made = Chosen({}, place, first.hear())
        running: dict[str, Running] = {}
        for number, options in enumerate(FILTERS):
            words = ("--tracers", "tcp", "--ring-mib", 1, "--sockets", 1000, *options.split())
            running[options] = stack.enter_context(launched(folder / f"{number}.bpftape", *words))
        for one in running.values():
            one.errors.wait_for("^recording ")
        with Program(place.inside(*tcp_program("connects", cases(TARGETS)))) as second:
            made.during = second.hear()
            for program in (second, first, server):
                program.end()
        made.recordings = {options: one.stop() for options, one in running.items()}
        yield made


def connected(attempts: Sequence[Row]) -> list[Row]:
    return [row for row in attempts if row["outcome"] == "connected"]


def family_of(attempt: Row) -> int:
    return 4 if "." in attempt["daddr"] else 6


def ends(attempts: Sequence[Row], wanted: Wanted) -> list[tuple[int, int, str]]:
    """Return those of both ends that are wanted, each by its local port, its peer's and its direction."""
    outbound = [(row["sport"], row["dport"], "outbound") for row in connected(attempts) if wanted(family_of(row), row["daddr"], row["dport"])]
    inbound = [(row["dport"], row["sport"], "inbound") for row in connected(attempts) if wanted(family_of(row), row["saddr"], row["dport"])]
    return sorted(outbound + inbound)


@pytest.mark.parametrize("options", FILTERS)
def test_connects_are_those_to_the_peers_wanted(chosen: Chosen, options: str) -> None:
    wanted = FILTERS[options]
    rows = of(chosen.recordings[options], "tcp_connect", net_ns=chosen.place.inode)
    expected = [(row["daddr"], row["dport"], row["errno"]) for row in chosen.during if wanted(family_of(row), row["daddr"], row["dport"])]
    assert [(row["daddr"], row["dport"], row["errno"]) for row in rows] == expected
    assert 0 < len(rows) < len(TARGETS)
    assert_complete(chosen.recordings[options])


@pytest.mark.parametrize("options", FILTERS)
def test_accepts_are_those_of_the_peers_and_the_own_port_wanted(chosen: Chosen, options: str) -> None:
    rows = of(chosen.recordings[options], "tcp_accept", net_ns=chosen.place.inode)
    expected = [end for end in ends(chosen.during, FILTERS[options]) if end[2] == "inbound"]
    assert sorted((row["sport"], row["dport"], "inbound") for row in rows) == expected


@pytest.mark.parametrize("options", FILTERS)
def test_ends_are_those_of_the_wanted_whenever_they_began(chosen: Chosen, options: str) -> None:
    rows = of(chosen.recordings[options], "tcp_close", net_ns=chosen.place.inode)
    found = sorted((row["sport"], row["dport"], row["direction"]) for row in rows)
    assert found == sorted(ends(chosen.before, FILTERS[options]) + ends(chosen.during, FILTERS[options]))
    assert {row["pid"] for row in rows if row["direction"] == "outbound"} <= {chosen.before[0]["pid"], chosen.during[0]["pid"]}


@pytest.mark.parametrize("options", FILTERS)
def test_sockets_from_before_are_those_wanted(chosen: Chosen, options: str) -> None:
    rows = of(chosen.recordings[options], "tcp_socket", net_ns=chosen.place.inode)
    found = sorted((row["sport"], row["dport"], row["direction"]) for row in rows if row["state"] != "listen")
    assert found == ends(chosen.before, FILTERS[options])
    listening = [port for port in (WEB, OTHER) if FILTERS[options](6, None, port)]
    assert sorted(row["sport"] for row in rows if row["state"] == "listen") == listening, "a listener has a port of its own, and no peer"


def test_the_recording_says_what_it_was_restricted_to(chosen: Chosen) -> None:
    assert chosen.recordings[f"--port 5405-{OTHER} --port {NOBODY}"].about()["filters"] == ["port=5405-5410", "port=5000"]
    assert chosen.recordings["--family 6"].about()["filters"] == ["family=6"]
    assert chosen.recordings["--daddr 127.0.0.48/29 --daddr fd78::/16"].about()["filters"] == ["daddr=127.0.0.48/29", "daddr=fd78::/16"]


WAITING = ["/bin/sh", "-c", 'read _; exec "$@"', "sh"]


def test_endpoints_and_tasks_must_both_be_wanted(tmp_path: Path) -> None:
    with namespace() as place, ExitStack() as stack:
        server = stack.enter_context(Program(place.inside(*tcp_program("listens", json.dumps([["::", WEB], ["::", OTHER]])))))
        server.hear()
        words = [*WAITING, *place.inside(*tcp_program("connects", cases(TARGETS)))]
        right, wrong = (stack.enter_context(Program(words)) for _ in range(2))
        options = ("--tracers", "tcp", "--ring-mib", 1, "--port", WEB)
        with recorder(tmp_path / "r.bpftape", *options, "--pid", right.pid) as running:
            wrong.ask()
            attempts = right.ask()
            for program in (right, wrong, server):
                program.end()
            recording = running.stop()
    expected = [(row["daddr"], row["dport"], row["errno"]) for row in attempts if row["dport"] == WEB]
    assert [(row["daddr"], row["dport"], row["errno"]) for row in of(recording, "tcp_connect", pid=right.pid)] == expected
    closes = [(row["sport"], row["dport"]) for row in of(recording, "tcp_close", pid=right.pid)]
    assert sorted(closes) == sorted((row["sport"], row["dport"]) for row in connected(attempts) if row["dport"] == WEB)
    assert [row for table in EVENTS for row in recording.table(table) if row["pid"] != right.pid] == []


def test_a_followed_command_and_its_children_are_what_is_recorded(tmp_path: Path) -> None:
    with namespace() as place, Program(place.inside(*tcp_program("listens", json.dumps([["::", WEB], ["::", OTHER]])))) as server:
        server.hear()
        command = ["/bin/sh", "-c", '"$@"; :', "sh", *place.inside(*tcp_program("connects", cases(TARGETS)))]
        options = ("--tracers", "tcp", "--ring-mib", 1, "--family", 6, "--follow-children")
        with Program([*WAITING, *command]) as stranger, launched(tmp_path / "r.bpftape", *options, command=command) as running:
            running.errors.wait_for("^recording ")
            stranger.ask()
            assert running.await_end() == 0, running.said()
            attempts = json.loads(running.output.everything())
    recording = Recording(running.path)
    rows = recording.table("tcp_connect")
    expected = [(row["daddr"], row["dport"], row["errno"]) for row in attempts if family_of(row) == 6]
    assert [(row["daddr"], row["dport"], row["errno"]) for row in rows] == expected
    assert {row["pid"] for table in EVENTS for row in recording.table(table)} == {attempts[0]["pid"]} != {os.getpid()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "0"], ("--port 0", "--port 443")),
        (["--port", "65536"], ("--port 65536", "1 to 65535")),
        (["--port", "http"], ("--port http", "--port 443")),
        (["--port", "90-80"], ("--port 90-80", "--port 8000-8100")),
        (["--port", "80,443"], ("--port 80,443", "--port 443")),
        (["--daddr", "10.0.0.300"], ("--daddr 10.0.0.300", "--daddr 10.0.0.0/8")),
        (["--daddr", "10.0.0.0/33"], ("--daddr 10.0.0.0/33",)),
        (["--daddr", "10.0.0.1/8"], ("--daddr 10.0.0.1/8", "10.0.0.0/8")),
        (["--daddr", "example.org"], ("--daddr example.org", "--daddr 10.0.0.0/8")),
        (["--family", "5"], ("--family 5", "--family 4")),
        (["--family", "0"], ("--family 0", "--family 4")),
        (["--family", "4", "--daddr", "::1"], ("--family 4 and --daddr ::1: nothing is both", "--family 6")),
        (["--port", "\x1b[31m"], (r"--port '\x1b[31m'",)),
        (["--daddr", ""], ("--daddr ''",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_endpoints_that_make_no_sense_are_refused(options: list[str], said: Sequence[str], tmp_path: Path) -> None:
    done = run_record("--duration", 1, "--output", tmp_path / "r.bpftape", *options)
    refused(done, 2, *said)
    assert list(tmp_path.iterdir()) == []
