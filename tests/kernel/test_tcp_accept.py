"""An accepted connection is a row of the process that took it, by whichever call, with both ends and the time that it had waited."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ECONNRESET
from pathlib import Path

import pytest

from tests.kernel.harness import Recording, Row, launched, program, recorder
from tests.kernel.net import Namespace, Program, assert_complete, namespace, of, only, tcp_program

WORKERS, CLIENTS = 5, 83
SHARED, OWN = 5400, 5401
RESETS = 3_000
# Those who connect to the second port, each before it is accepted.
ONES = ("127.0.0.1", "::1")


@dataclass
class Accepted:
    recording: Recording
    namespace: Namespace
    server: Row
    connected: list[Row]
    taken: list[Row]
    """What the workers say that they took."""
    ones: dict[str, tuple[Row, Row]]
    """By address: what client and server saw."""
    reset: Row


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accepted]:
    with namespace() as place, recorder(tmp_path_factory.mktemp("accepted") / "r.bpftape", "--tracers", "tcp") as running:
        with Program(place.inside(*tcp_program("accepting", WORKERS, SHARED, OWN))) as server:
            who = server.hear()
            cases = [(f"client {number}", "127.0.0.1", SHARED, number % 2) for number in range(CLIENTS)]
            ones = {}
            with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as clients:
                connected = clients.hear()
                for address in ONES:
                    with Program(place.inside(*tcp_program("connects", json.dumps([("one", address, OWN, False)])))) as client:
                        (attempt,) = client.hear()
                        ones[address] = (attempt, server.ask("accept"))
                place.command("/usr/bin/env", "python3", "-c", RESET)
                reset = server.ask("accept")
                server.end()
                taken = server.hear()
        recording = running.stop()
        yield Accepted(recording, place, who, connected, taken, ones, reset)


# SO_LINGER of no time makes close(2) a reset, here before the connection was accepted.
RESET = f"""
import socket
sock = socket.create_connection(("127.0.0.1", {OWN}))
sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, {struct.pack("ii", 1, 0)!r})
sock.close()
"""


def test_each_accept_is_a_row_of_the_worker_that_took_it(accepted: Accepted) -> None:
    assert len(accepted.taken) == CLIENTS
    calls = Counter(row["call"] for row in accepted.taken)
    assert set(calls) == {"accept", "accept4"}
    rows = of(accepted.recording, "tcp_accept", pid=set(accepted.server["workers"]))
    assert sorted((row["dport"], row["pid"], row["tid"]) for row in rows) == sorted((row["dport"], row["pid"], row["pid"]) for row in accepted.taken)
    assert {row["dport"] for row in rows} == {attempt["sport"] for attempt in accepted.connected}
    assert {(row["saddr"], row["sport"], row["daddr"], row["family"]) for row in rows} == {("127.0.0.1", SHARED, "127.0.0.1", 4)}
    assert {(row["saddr_scope"], row["daddr_scope"], row["scope_id"]) for row in rows} == {("loopback", "loopback", None)}
    assert {row["net_ns"] for row in rows} == {accepted.namespace.inode}
    assert {row["ppid"] for row in rows} == {accepted.server["pid"]}
    assert_complete(accepted.recording)


@pytest.mark.parametrize("address", ONES)
def test_a_connection_has_waited_for_its_accept_as_long_as_both_sides_saw(accepted: Accepted, address: str) -> None:
    client, server = accepted.ones[address]
    row = only(of(accepted.recording, "tcp_accept", pid=server["pid"], dport=client["sport"]))
    assert server["dport"] == client["sport"]
    assert server["before_ns"] - client["after_ns"] <= row["queued_ns"] <= server["after_ns"] - client["before_ns"]
    assert server["before_ns"] <= row["ts_ns"] <= server["after_ns"]
    assert (row["saddr"], row["daddr"], row["sport"]) == (address, server["daddr"], OWN)
    assert row["family"] == (4 if "." in address else 6), "also through a listener of both families"


def test_a_connection_that_was_reset_before_is_accepted_all_the_same(accepted: Accepted) -> None:
    row = only(of(accepted.recording, "tcp_accept", pid=accepted.server["pid"], dport=accepted.reset["dport"]))
    assert (row["daddr"], row["sport"], row["saddr"]) == ("127.0.0.1", OWN, "127.0.0.1")
    assert len(of(accepted.recording, "tcp_accept", pid=accepted.server["pid"])) == 3, "an accept of nothing is none"
    # Its end comes first, and has no process: reports must not take it for a connection that is still open.
    end = only(of(accepted.recording, "tcp_close", sport=OWN, dport=accepted.reset["dport"]))
    assert (end["errno"], end["pid"], end["direction"]) == (ECONNRESET, None, "inbound")
    assert end["ts_ns"] < row["ts_ns"]
    closed = {taken["dport"] for taken in accepted.recording.table("tcp_accept") if taken["is_closed"]}
    assert closed == {accepted.reset["dport"]}


def test_the_ends_of_accepted_connections_are_of_who_took_them(accepted: Accepted) -> None:
    rows = of(accepted.recording, "tcp_close", sport=SHARED)
    assert sorted((row["dport"], row["pid"], row["direction"]) for row in rows) == sorted(
        (row["dport"], row["pid"], "inbound") for row in accepted.taken
    )
    assert {row["net_ns"] for row in rows} == {accepted.namespace.inode}


@pytest.mark.parametrize("options", [(), ("--follow-children",)])
def test_a_connection_that_is_reset_while_it_is_accepted_has_ended_before_or_its_end_has_its_task(options: tuple[str, ...], tmp_path: Path) -> None:
    command = program("resets", RESETS)
    with namespace() as place, launched(tmp_path / "r.bpftape", "--tracers", "tcp", *options, command=place.inside(*command)) as running:
        assert running.await_end() == 0, running.said()
        recording, net_ns, accepted = Recording(running.path), place.inode, int(running.output.wait_for(r"^\d+$"))
    accepts = recording.rows("tcp_accept", net_ns=net_ns)
    ends = recording.rows("tcp_close", net_ns=net_ns, direction="inbound")
    assert len(accepts) == accepted > RESETS / 2
    assert len(accepts) > sum(row["is_closed"] for row in accepts) > 0, "both happen"
    owned = Counter((row["dport"], row["pid"]) for row in ends if row["pid"])
    still_open = Counter((row["dport"], row["pid"]) for row in accepts if not row["is_closed"])
    assert owned == still_open
    assert len(ends) == (owned.total() if options else accepted)
    assert recording.lost("tcp_close") == 0
