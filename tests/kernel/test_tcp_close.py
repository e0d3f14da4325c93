"""A connection's end is a row at each side: exact bytes, what was sent again, what broke it off, how long it lived, and whose it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.kernel.harness import Recording, Row, recorder, run_program
from tests.kernel.net import Namespace, assert_complete, namespace, of, only, tcp_program

TRANSFERS = 19
WAYS = ("exits", "is_killed", "leaves_an_heir")


@dataclass
class Closed:
    recording: Recording
    namespace: Namespace
    pid: int
    transfers: dict[str, Row]
    owners: dict[str, Row]
    retransmits: int
    """Of all that the namespace sent until the transfers were at their end, as its own counter has it."""

    def ends(self, sport: int, dport: int) -> dict[str, Row]:
        """Return the row of each side of the connection from ``sport`` to ``dport``."""
        rows = of(self.recording, "tcp_close", net_ns=self.namespace.inode)
        return {
            "client": only([row for row in rows if (row["sport"], row["dport"]) == (sport, dport)]),
            "server": only([row for row in rows if (row["dport"], row["sport"]) == (sport, dport)]),
        }


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    with namespace() as place, recorder(tmp_path_factory.mktemp("closed") / "r.bpftape", "--tracers", "tcp") as running:
        transfers = run_program(place.inside(*tcp_program("transfers")))
        names, values = (line.split() for line in place.command("grep", "^Tcp:", "/proc/net/snmp").splitlines())
        owners = run_program(place.inside(*tcp_program("owners")))
        recording = running.stop()
        assert (transfers.status, owners.status) == (0, 0)
        done, owned = ({row["case"]: row for row in json.loads(ended.output)} for ended in (transfers, owners))
        yield Closed(recording, place, transfers.pid, done, owned, int(values[names.index("RetransSegs")]))


def test_bytes_are_exactly_those_of_the_peers(closed: Closed) -> None:
    assert len(closed.transfers) == TRANSFERS
    wrong = []
    for case, transfer in closed.transfers.items():
        for side, row in closed.ends(transfer["sport"], transfer["dport"]).items():
            wanted = (transfer[side]["sent"], transfer[side]["received"])
            if (row["bytes_sent"], row["bytes_received"]) != wanted:
                wrong.append(f"{case}, {side}: {(row['bytes_sent'], row['bytes_received'])} and not {wanted}")
    assert not wrong, "\n".join(wrong)
    assert_complete(closed.recording)


def test_there_is_a_row_for_each_side_and_none_for_listeners(closed: Closed) -> None:
    rows = of(closed.recording, "tcp_close", pid=closed.pid)
    assert len(rows) == 2 * TRANSFERS
    assert sorted(row["direction"] for row in rows) == ["inbound"] * TRANSFERS + ["outbound"] * TRANSFERS
    for transfer in closed.transfers.values():
        ends = closed.ends(transfer["sport"], transfer["dport"])
        assert (ends["client"]["direction"], ends["server"]["direction"]) == ("outbound", "inbound")
    assert len(of(closed.recording, "tcp_close", net_ns=closed.namespace.inode)) == 2 * (TRANSFERS + len(WAYS))


def test_errno_is_what_the_side_that_did_not_end_it_was_told(closed: Closed) -> None:
    wrong = []
    for case, transfer in closed.transfers.items():
        for side, row in closed.ends(transfer["sport"], transfer["dport"]).items():
            if row["errno"] != transfer[side]["errno"]:
                wrong.append(f"{case}, {side}: {row['errno']} and not {transfer[side]['errno']}")
    assert not wrong, "\n".join(wrong)
    told = {case: (row["client"]["errno"], row["server"]["errno"]) for case, row in closed.transfers.items()}
    assert told["reset"] == (None, 104)
    assert told["reset by what was not read"] == (104, None)
    assert told["faded"] == (110, None)


def test_retransmits_are_those_that_the_kernel_told_the_sender_and_that_it_counted(closed: Closed) -> None:
    rows = [(case, transfer, closed.ends(transfer["sport"], transfer["dport"])) for case, transfer in closed.transfers.items()]
    for case, transfer, ends in rows:
        # What came after it was asked for, as on a slow machine, only the counter has.
        assert ends["client"]["retransmits"] >= transfer["client"]["retransmits"], case
        assert ends["client"]["retransmits"] > 0 or case not in ("lossy", "faded"), case
    assert sum(row["retransmits"] for *_, ends in rows for row in ends.values()) == closed.retransmits > 0


def test_a_connection_lives_from_established_to_its_end(closed: Closed) -> None:
    for case, transfer in closed.transfers.items():
        ends = closed.ends(transfer["sport"], transfer["dport"])
        connect = only(of(closed.recording, "tcp_connect", pid=closed.pid, sport=transfer["sport"]))
        accept = only(of(closed.recording, "tcp_accept", pid=closed.pid, dport=transfer["sport"]))
        assert ends["client"]["ts_ns"] - ends["client"]["duration_ns"] == connect["ts_ns"], case
        assert ends["server"]["ts_ns"] - ends["server"]["duration_ns"] == accept["ts_ns"] - accept["queued_ns"], case
        if "closing_ns" in transfer:
            assert ends["client"]["ts_ns"] >= transfer["closing_ns"]
            assert ends["client"]["duration_ns"] >= transfer["closing_ns"] - transfer["opened_ns"]
            assert ends["server"]["ts_ns"] >= transfer["closing_ns"]


def test_a_round_trip_is_measured_where_something_was_sent(closed: Closed) -> None:
    for case, transfer in closed.transfers.items():
        for side, row in closed.ends(transfer["sport"], transfer["dport"]).items():
            assert row["srtt_us"] is None or 0 < row["srtt_us"] < 10_000_000, (case, side)
            assert row["srtt_us"] or not row["bytes_sent"], (case, side)


def test_addresses_of_both_sides_are_each_others(closed: Closed) -> None:
    for case, transfer in closed.transfers.items():
        ends = closed.ends(transfer["sport"], transfer["dport"])
        host, family = ("::1", 6) if case == "v6" else ("127.0.0.1", 4)
        for row in ends.values():
            assert (row["saddr"], row["daddr"], row["family"], row["saddr_scope"], row["daddr_scope"]) == (host, host, family, "loopback", "loopback")


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_of_who_opened_or_accepted_it_however_it_was_left(closed: Closed, way: str) -> None:
    owned = closed.owners[way]
    (opener, sport), (acceptor, peer) = owned["opener"], owned["acceptor"]
    assert sport == peer
    ends = closed.ends(sport, owned["dport"])
    assert (ends["client"]["pid"], ends["client"]["comm"], ends["client"]["direction"]) == (opener, "an opener", "outbound")
    assert (ends["server"]["pid"], ends["server"]["comm"], ends["server"]["direction"]) == (acceptor, "an acceptor", "inbound")
    assert (ends["client"]["bytes_sent"], ends["server"]["bytes_received"]) == (19, 19)
    for table, row in (("tcp_connect", ends["client"]), ("tcp_accept", ends["server"])):
        begin = only(of(closed.recording, table, pid=row["pid"]))
        assert (row["start_ns"], row["tid"], row["uid"], row["ppid"]) == (begin["start_ns"], begin["tid"], begin["uid"], begin["ppid"])
