"""TCP Fast Open and Multipath TCP are marked for what they are, at both ends."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, Row, recorder
from tests.kernel.net import HAS_MPTCP, ONLY_MPTCP, Program, assert_complete, namespace, of, only, tcp_program
from tests.kernel.programs.attempts import LATE_REJECTED, LISTENING, REFUSED

PORT, MPTCP_PORT = LISTENING[:2]
MPTCP = 262


# An MPTCP connection that is reset (SO_LINGER of no time) before it is accepted; say both ends as the client and accept(2) know them.
RESET = f"""
import json, select, socket, struct
server = socket.socket(proto={MPTCP})
server.bind(("127.0.0.1", 0))
server.listen()
client = socket.socket(proto={MPTCP})
client.connect(server.getsockname())
client.send(b"x")
dport = client.getsockname()[1]
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
accepted, peer = server.accept()
select.select([accepted], [], [], 60)
print(json.dumps([accepted.getsockname()[1], dport, peer[1]]))
"""


@dataclass
class Opened:
    recording: Recording
    attempts: dict[str, Row]
    accepted: list[tuple[int, int]]
    mptcp_accepted: list[tuple[int, int]]
    server_pid: int
    mptcp_server_pid: int
    reset: list[int]
    active: int
    """Fast opens that the kernel counts at the client's side."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    with namespace() as place, recorder(tmp_path_factory.mktemp("opened") / "r.bpftape", "--tracers", "tcp") as running:
        listening = {PORT: 0} | ({MPTCP_PORT: MPTCP} if HAS_MPTCP else {})
        commands = [tcp_program("listens", json.dumps([["127.0.0.1", port]]), protocol) for port, protocol in listening.items()]
        servers = [Program(place.inside(*words)) for words in commands]
        with ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
            assert [server.hear() for server in servers] == [[port] for port in listening]
            with Program(place.inside(*tcp_program("fast_open", PORT, MPTCP_PORT * HAS_MPTCP, REFUSED[0], *LATE_REJECTED[:2]))) as client:
                attempts = client.hear()
                client.end()
            accepted: list[list[tuple[int, int]]] = []
            for server in servers:
                assert server.process.stdin
                server.process.stdin.close()
                accepted.append([(sport, dport) for sport, dport in server.hear()])
        reset = json.loads(place.command(sys.executable, "-c", RESET)) if HAS_MPTCP else []
        counted = place.command("cat", "/proc/net/netstat")
        recording = running.stop()
    names, values = (line.split() for line in counted.splitlines() if line.startswith("TcpExt:"))
    active = int(dict(zip(names, values, strict=True))["TCPFastOpenActive"])
    pids = [server.pid for server in servers]
    return Opened(recording, {row["case"]: row for row in attempts}, accepted[0], accepted[-1], pids[0], pids[-1], reset, active)


def test_each_attempt_is_one_row_marked_for_what_it_is(opened: Opened) -> None:
    data_in_syn = [case for case, attempt in opened.attempts.items() if attempt["is_fastopen"]]
    assert data_in_syn == ["has data in the SYN", "TCP_FASTOPEN_CONNECT"]
    assert opened.active == 2
    by_sport = {row["sport"]: row for row in of(opened.recording, "tcp_connect", outcome="connected", pid=opened.attempts["plain"]["pid"])}
    found = {case: by_sport[attempt["sport"]] for case, attempt in opened.attempts.items() if attempt["outcome"] == "connected"}
    assert {case: (row["is_fastopen"], row["is_mptcp"]) for case, row in found.items()} == {
        case: (opened.attempts[case]["is_fastopen"], opened.attempts[case]["is_mptcp"]) for case in found
    }
    assert_complete(opened.recording)


MPTCP_CASES = (
    *("mptcp", "mptcp to tcp", "mptcp, refused", "mptcp, no route", "mptcp, rejected"),
    *("mptcp, refused without waiting", "mptcp, rejected without waiting"),
)


@pytest.mark.parametrize("case", [*(pytest.param(case, marks=ONLY_MPTCP) for case in (*MPTCP_CASES, "tcp to mptcp")), "plain"])
def test_each_attempt_is_one_row(opened: Opened, case: str) -> None:
    attempt = opened.attempts[case]
    ends = {name: attempt[name] for name in ("pid", "dport", "sport") if name in attempt}
    row = only(of(opened.recording, "tcp_connect", **ends))
    assert (row["is_mptcp"], row["errno"], row["tid"]) == (attempt["is_mptcp"], attempt["errno"], attempt["tid"])


def test_no_other_row_is_there(opened: Opened) -> None:
    assert len(opened.attempts) == (12 if HAS_MPTCP else 4)
    assert len(of(opened.recording, "tcp_connect", pid=opened.attempts["plain"]["pid"])) == len(opened.attempts)


@ONLY_MPTCP
def test_an_mptcp_connection_is_accepted_by_the_process_that_took_it(opened: Opened) -> None:
    peers = [dport for _, dport in opened.mptcp_accepted]
    assert peers == [opened.attempts["mptcp"]["sport"], opened.attempts["tcp to mptcp"]["sport"]]
    rows = of(opened.recording, "tcp_accept", sport=MPTCP_PORT)
    assert [(row["pid"], row["dport"], row["daddr"]) for row in rows] == [(opened.mptcp_server_pid, peer, "127.0.0.1") for peer in peers]
    assert rows[0]["is_mptcp"] is True


@ONLY_MPTCP
def test_an_mptcp_connection_that_is_dead_when_it_is_accepted_has_its_peers_port(opened: Opened) -> None:
    sport, dport, told = opened.reset
    assert dport == told
    row = only(of(opened.recording, "tcp_accept", sport=sport))
    assert (row["dport"], row["daddr"], row["is_mptcp"], row["is_closed"]) == (dport, "127.0.0.1", True, True)
    assert only(of(opened.recording, "tcp_close", sport=sport))["dport"] == dport


def test_fast_opens_are_accepted_like_others(opened: Opened) -> None:
    rows = of(opened.recording, "tcp_accept", pid=opened.server_pid)
    assert sorted(row["dport"] for row in rows) == sorted(dport for _, dport in opened.accepted)
    assert len(rows) == 4 + HAS_MPTCP
    assert {row["is_mptcp"] for row in rows} == {False}


@ONLY_MPTCP
def test_the_ends_of_an_mptcp_connection_have_their_processes(opened: Opened) -> None:
    client = opened.attempts["mptcp"]
    rows = {row["direction"]: row for row in of(opened.recording, "tcp_close") if client["sport"] in (row["sport"], row["dport"])}
    assert {direction: (row["pid"], row["is_mptcp"]) for direction, row in rows.items()} == {
        "outbound": (client["pid"], True),
        "inbound": (opened.mptcp_server_pid, True),
    }
    assert (rows["outbound"]["bytes_sent"], rows["inbound"]["bytes_received"]) == (17, 17)


def test_data_in_the_syn_count_as_bytes(opened: Opened) -> None:
    for case, size in (("asks for the cookie", 11), ("has data in the SYN", 11), ("TCP_FASTOPEN_CONNECT", 13), ("plain", 0)):
        attempt = opened.attempts[case]
        sent = only(of(opened.recording, "tcp_close", sport=attempt["sport"], dport=PORT))
        received = only(of(opened.recording, "tcp_close", dport=attempt["sport"], sport=PORT))
        assert (sent["bytes_sent"], received["bytes_received"]) == (size, size), case
