"""Connects that are under way when the recording begins, or when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from errno import ECONNREFUSED

import pytest

from tests.kernel.harness import Recording, Row, boottime_ns, recorder
from tests.kernel.net import Program, assert_complete, namespace, of, only, tcp_program
from tests.kernel.programs.attempts import DROPPED

ARRIVES, IS_REFUSED, STAYS = BEFORE = DROPPED[:3]
LATER = DROPPED[3]


@dataclass
class Edges:
    recording: Recording
    before: Row
    later: Row
    begun_ns: int
    ended_ns: int


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    with namespace() as place, Program(place.inside(*tcp_program("listens", json.dumps([["127.0.0.1", ARRIVES]])))) as server:
        place.configure({"net.ipv4.tcp_syn_retries": 6})
        server.hear()
        with Program(place.inside(*tcp_program("pending", json.dumps(list(BEFORE))))) as first:
            before = first.hear()
            with recorder(tmp_path_factory.mktemp("edges") / "r.bpftape", "--tracers", "tcp") as running:
                begun_ns = boottime_ns()
                with Program(place.inside(*tcp_program("pending", json.dumps([LATER])))) as second:
                    later = second.hear()
                    place.command("nft", "insert", "rule", "inet", "fates", "input", "tcp", "dport", f"{{ {ARRIVES}, {IS_REFUSED} }}", "accept")
                    assert (first.ask("0"), first.ask("1")) == (0, ECONNREFUSED)
                    ended_ns = boottime_ns()
                    recording = running.stop()
        yield Edges(recording, before, later, begun_ns, ended_ns)


def test_a_connect_from_before_is_a_socket_and_later_an_outcome(edges: Edges) -> None:
    sockets = of(edges.recording, "tcp_socket", pid=edges.before["pid"])
    assert sorted((row["state"], row["direction"], row["dport"], row["sport"]) for row in sockets) == [
        ("syn_sent", "outbound", port, sport) for port, sport in zip(BEFORE, edges.before["sports"], strict=True)
    ]
    rows = of(edges.recording, "tcp_connect", pid=edges.before["pid"])
    assert sorted((row["dport"], row["outcome"], row["errno"]) for row in rows) == [
        (ARRIVES, "connected", 0),
        (IS_REFUSED, "failed", ECONNREFUSED),
        (STAYS, "pending", None),
    ]
    assert_complete(edges.recording)


def test_when_it_began_is_not_made_up(edges: Edges) -> None:
    for row in of(edges.recording, "tcp_connect", pid=edges.before["pid"]):
        assert (row["syn_ns"], row["latency_ns"]) == (None, None)
        assert row["ts_ns"] >= edges.begun_ns
        assert row["sport"] == edges.before["sports"][BEFORE.index(row["dport"])]


def test_what_has_no_outcome_at_the_end_is_pending(edges: Edges) -> None:
    row = only(of(edges.recording, "tcp_connect", pid=edges.later["pid"]))
    assert (row["outcome"], row["errno"], row["latency_ns"], row["dport"]) == ("pending", None, None, LATER)
    assert (row["saddr"], row["daddr"]) == ("127.0.0.1", "127.0.0.1")
    assert edges.begun_ns < row["syn_ns"] < edges.ended_ns < row["ts_ns"]


def test_a_pending_connect_has_the_port_that_its_syn_went_out_from(edges: Edges) -> None:
    row = only(of(edges.recording, "tcp_connect", pid=edges.later["pid"]))
    assert row["sport"] == edges.later["sports"][0]
