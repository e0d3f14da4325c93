"""Sockets that were there before the recording are listed with their owners, as ss(8) lists them; their ends are known for what they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.harness import Recording, Row, eventually, recorder
from tests.kernel.net import Program, assert_complete, command, namespace, of, only, tcp_program

STATES = {"LISTEN": "listen", "ESTAB": "established", "CLOSE-WAIT": "close_wait", "FIN-WAIT-2": "fin_wait2"}
ACCEPTED = ("v4", "v6", "dual", "half")
PLACES = ("host", "namespace")
MANY = 15_000


@dataclass
class Held:
    recording: Recording
    holders: dict[str, Row]
    """By place: what the program says."""
    listed: dict[str, str]
    """By place: what ss(8) says."""


def end(text: str) -> tuple[str | None, int | None]:
    """Return address and port as ss(8) writes them; none of them where they are wild cards."""
    host, _, port = text.rpartition(":")
    host = re.sub(r"^\[(.*)\]$", r"\1", host).removeprefix("::ffff:").partition("%")[0]
    return (None if host in ("*", "0.0.0.0", "::") and port == "*" else host), (None if port == "*" else int(port))


def as_listed(text: str, pids: set[int]) -> set[tuple[object, ...]]:
    """Return state, both ends and process of each socket of those processes that ss(8) lists."""
    found: set[tuple[object, ...]] = set()
    for line in text.splitlines():
        words = line.split()
        pid = re.search(r"pid=(\d+)", line)
        if pid and int(pid[1]) in pids:
            saddr, sport = end(words[3])
            found.add((STATES[words[0]], saddr, sport, *end(words[4]), int(pid[1])))
    return found


def listing(run: Callable[..., str]) -> str:
    """Return what ss(8) lists, when the half closed connections have come to rest."""

    def at_rest() -> str | None:
        text = run("ss", "-tanpH")
        return None if re.search("^FIN-WAIT-1 .*pid=", text, re.MULTILINE) else text

    text: str = eventually("FINs are acknowledged", at_rest)
    return text


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with namespace() as place, ExitStack() as stack:
        words = {"host": tcp_program("holds"), "namespace": place.inside(*tcp_program("holds"))}
        programs = {name: stack.enter_context(Program(line)) for name, line in words.items()}
        holders = {name: program.hear() for name, program in programs.items()}
        listed = {"host": listing(command), "namespace": listing(place.command)}
        with recorder(tmp_path_factory.mktemp("held") / "r.bpftape", "--tracers", "tcp") as running:
            for program in programs.values():
                program.tell("end")
                assert program.process.wait() == 0
            recording = running.stop()
        inodes = {"host": Path("/proc/self/ns/net").stat().st_ino, "namespace": place.inode}
        yield Held(recording, {name: row | {"net_ns": inodes[name]} for name, row in holders.items()}, listed)


@pytest.mark.parametrize("place", PLACES)
def test_sockets_are_those_that_ss_lists(held: Held, place: str) -> None:
    pids = {held.holders[place]["server"], held.holders[place]["client"]}
    rows = of(held.recording, "tcp_socket", pid=pids)
    found = {(row["state"], any_address(row), row["sport"], row["daddr"], row["dport"], row["pid"]) for row in rows}
    listed = {
        (state, None if saddr in ("*", "0.0.0.0", "::") else saddr, *further)  # whatever the family's word for any address is
        for state, saddr, *further in as_listed(held.listed[place], pids)
    }
    assert len(listed) == 3 + 4 + 6
    assert found == listed
    assert len(rows) == len(found), "each is listed once"
    assert_complete(held.recording)


def any_address(row: Row) -> str | None:
    saddr: str | None = row["saddr"]
    return None if saddr in ("0.0.0.0", "::") else saddr


@pytest.mark.parametrize("place", PLACES)
def test_a_listener_has_the_address_that_it_listens_on(held: Held, place: str) -> None:
    who = held.holders[place]
    rows = {row["sport"]: row for row in of(held.recording, "tcp_socket", pid=who["server"], state="listen")}
    found = {name: (rows[port]["saddr"], rows[port]["family"], rows[port]["direction"], rows[port]["dport"]) for name, port in who["ports"].items()}
    assert found == {"v4": ("127.0.0.1", 4, None, None), "v6": ("::1", 6, None, None), "dual": ("::", 6, None, None)}


@pytest.mark.parametrize("place", PLACES)
def test_directions_are_those_of_client_and_server(held: Held, place: str) -> None:
    who = held.holders[place]
    for pid, direction, state in ((who["client"], "outbound", "fin_wait2"), (who["server"], "inbound", "close_wait")):
        rows = [row for row in of(held.recording, "tcp_socket", pid=pid) if row["state"] != "listen"]
        assert {row["direction"] for row in rows} == {direction}
        assert sorted(row["state"] for row in rows if row["state"] != "established") == [state]
        assert {row["family"] for row in rows if row["saddr"] == "127.0.0.1"} == {4}


@pytest.mark.parametrize("place", PLACES)
def test_their_ends_have_owner_and_direction_and_all_their_bytes(held: Held, place: str) -> None:
    who = held.holders[place]
    for way in ACCEPTED:
        sport, dport = who["sports"][way], who["dports"][way]
        size = 101 if way == "half" else 108
        client = only(of(held.recording, "tcp_close", sport=sport, dport=dport))
        server = only(of(held.recording, "tcp_close", sport=dport, dport=sport))
        assert (client["pid"], client["direction"], client["duration_ns"], client["bytes_sent"]) == (who["client"], "outbound", None, size), way
        assert (server["pid"], server["direction"], server["duration_ns"], server["bytes_received"]) == (who["server"], "inbound", None, size), way
        sockets = {row["pid"]: row for row in of(held.recording, "tcp_socket", sport={sport, dport}, dport={sport, dport})}
        assert client["start_ns"] == sockets[who["client"]]["start_ns"]
        assert server["comm"] == sockets[who["server"]]["comm"]


@pytest.mark.parametrize("place", PLACES)
def test_a_connection_that_nobody_has_accepted_is_nobodys(held: Held, place: str) -> None:
    who = held.holders[place]
    sport, dport = who["sports"]["waits"], who["dports"]["waits"]
    row = only(of(held.recording, "tcp_socket", sport=dport, dport=sport))
    assert row["net_ns"] == who["net_ns"]
    assert (row["pid"], row["comm"], row["ppid"], row["uid"]) == (None, None, None, None)
    assert (row["state"], row["direction"], row["saddr"]) == ("established", "inbound", "127.0.0.1")
    close = only(of(held.recording, "tcp_close", sport=dport, dport=sport))
    assert (close["pid"], close["direction"], close["bytes_sent"], close["bytes_received"]) == (None, "inbound", 0, 0)


@pytest.mark.parametrize("place", PLACES)
def test_a_connection_from_before_that_is_accepted_later_is_of_who_took_it(held: Held, place: str) -> None:
    who = held.holders[place]
    sport, dport = who["sports"]["later"], who["dports"]["later"]
    accept = only(of(held.recording, "tcp_accept", pid=who["server"]))
    assert (accept["sport"], accept["dport"], accept["daddr"], accept["queued_ns"]) == (dport, sport, "::1", None)
    close = only(of(held.recording, "tcp_close", sport=dport, dport=sport))
    assert (close["pid"], close["direction"], close["duration_ns"]) == (who["server"], "inbound", None)
    assert (close["bytes_received"], close["start_ns"]) == (108, accept["start_ns"])


def test_listening_sockets_end_without_a_row(held: Held) -> None:
    for who in held.holders.values():
        assert [row for row in of(held.recording, "tcp_close", pid=who["server"]) if row["dport"] is None] == []
        assert len(of(held.recording, "tcp_close", pid=who["server"])) == 5
        assert len(of(held.recording, "tcp_close", pid=who["client"])) == 6


def test_more_sockets_than_a_ring_holds_are_all_listed_once(tmp_path: Path) -> None:
    with namespace() as place, Program(place.inside(*tcp_program("many_sockets", MANY))) as holder:
        made = {tuple(end) for end in holder.hear()}
        with recorder(tmp_path / "r.bpftape", "--tracers", "tcp", "--ring-mib", 1) as running:
            recording = running.stop()
    rows = of(recording, "tcp_socket", pid=holder.pid)
    assert len(made) == MANY
    assert sorted((row["saddr"], row["sport"]) for row in rows) == sorted(made)
    coverage = recording.rows("coverage", table="tcp_socket")
    assert sum(row["bytes"] for row in coverage) > 1 << 20
    assert sum(row["events"] for row in coverage) == len(recording.table("tcp_socket"))
    assert_complete(recording)


# Both ends are closed where nothing arrives any more, and their process ends: the kernel alone goes on with them.
ORPHANS = """
import socket, subprocess
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
subprocess.run(["nft", "insert rule inet fates input meta l4proto tcp drop"], check=True)
client.close()
accepted.close()
"""


def test_orphans_in_a_namespace_without_a_process_are_listed(tmp_path: Path) -> None:
    with namespace() as place:
        place.command(sys.executable, "-c", ORPHANS)
        lines = [line.split() for line in place.command("ss", "-tanH").splitlines()]
        with recorder(tmp_path / "r.bpftape", "--tracers", "tcp") as running:
            recording = running.stop()
        rows = recording.rows("tcp_socket", net_ns=place.inode)
    assert {row["pid"] for row in rows} == {None}
    listed = {(end(words[3]), end(words[4])) for words in lines}
    assert [words[0] for words in lines] == ["FIN-WAIT-1"] * 2
    assert {((row["saddr"], row["sport"]), (row["daddr"], row["dport"])) for row in rows} == listed
    assert {probe["reason"] for probe in recording.table("probe")} == {None}


def test_namespaces_that_cannot_be_visited_are_named(tmp_path: Path) -> None:
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    with namespace() as place, recorder(tmp_path / "r.bpftape", wrapper=without) as running:
        inode = place.inode
        recording = running.stop()
    (probe,) = recording.rows("probe", hook="iterator:tcp")
    assert probe["status"] == "attached"
    assert "could not be visited" in probe["reason"]
    assert f"net:[{inode}] (Operation not permitted)" in probe["reason"]
    assert "could not be visited" in running.said()
