"""The reports that put connections together from their parts: which end belongs to which opening, and which server to which client."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.recording import open_recordings
from analyzer.report import bundled
from analyzer.sandbox import open_sandbox
from tests.rows import Row, Rows, read_rows, write_recording

SECOND = 1_000_000_000
START = 1000 * SECOND
CANNED = read_rows()
META = {table: CANNED[table] for table in ("recording", "probe", "clock", "coverage")}

_TABLES = ("tcp_connect", "tcp_accept", "tcp_socket", "tcp_close", "container", "exit")

CLIENT, SERVER = ("10.1.0.1", 40000), ("10.1.0.2", 80)


def row(table: str, at_s: float, local: tuple[str, int], peer: tuple[str, int], **values: Any) -> Row:
    """Return a row of ``table``, ``at_s`` seconds after the start, with all that is not given empty."""
    saddr_scope, daddr_scope = ("loopback" if host.startswith("127.") else "private" for host, _ in (local, peer))
    ends = {"saddr": local[0], "sport": local[1], "daddr": peer[0], "dport": peer[1], "saddr_scope": saddr_scope, "daddr_scope": daddr_scope}
    task = {"pid": 7, "tid": 7, "ppid": 1, "start_ns": 1, "comm": "x", "cgroup_id": 1, "pid_ns_level": 0, "net_ns": 1}
    kinds: dict[str, Row] = {
        "tcp_connect": {"outcome": "connected", "errno": 0, "latency_ns": 1000, "syn_ns": START + round(at_s * SECOND) - 1000},
        "tcp_accept": {"queued_ns": 0, "is_closed": False},
        "tcp_close": {"direction": "outbound", "duration_ns": None, "errno": None, "bytes_sent": 1, "bytes_received": 2},
        "tcp_socket": {"state": "established", "direction": "outbound"},
    }
    return CANNED[table][0] | task | ends | kinds[table] | {"ts_ns": START + round(at_s * SECOND)} | values


def connect(at_s: float, local: tuple[str, int] = CLIENT, peer: tuple[str, int] = SERVER, **values: Any) -> tuple[str, Row]:
    return "tcp_connect", row("tcp_connect", at_s, local, peer, **values)


def accept(at_s: float, local: tuple[str, int] = SERVER, peer: tuple[str, int] = CLIENT, **values: Any) -> tuple[str, Row]:
    return "tcp_accept", row("tcp_accept", at_s, local, peer, **values)


def socket(at_s: float, local: tuple[str, int] = CLIENT, peer: tuple[str, int] = SERVER, **values: Any) -> tuple[str, Row]:
    return "tcp_socket", row("tcp_socket", at_s, local, peer, **values)


def close(at_s: float, local: tuple[str, int] = CLIENT, peer: tuple[str, int] = SERVER, **values: Any) -> tuple[str, Row]:
    return "tcp_close", row("tcp_close", at_s, local, peer, **values)


def context(at_s: float, nodename: str, pid_ns: int, uts_ns: int, level: int, **values: Any) -> tuple[str, Row]:
    own = {"nodename": nodename, "pid_ns": pid_ns, "uts_ns": uts_ns, "pid_ns_level": level, "cgroup_id": 1, "container_id": None, "name": None}
    return "container", CANNED["container"][0] | own | {"ts_ns": START + round(at_s * SECOND)} | values


def results(folder: Path, report: str, *recordings: Sequence[tuple[str, Row]]) -> list[dict[str, Any]]:
    """Return the rows of a report over recordings that hold ``recordings``."""
    paths = []
    for number, events in enumerate(recordings):
        rows: Rows = {table: [row for name, row in events if name == table] for table in _TABLES}
        paths.append(write_recording(folder / f"{uuid.uuid4()}.bpftape", {**META, **rows}, uuid.UUID(int=number + 1)))
    with open_sandbox(open_recordings(paths)) as sandbox:
        sql = bundled(report)
        result = sandbox.execute(sandbox.prepare(sql.sql, report), report, sql.values([]))
        return [dict(zip((field.name for field in result.fields), values, strict=True)) for batch in result.batches for values in batch]


def lives(folder: Path, *events: tuple[str, Row]) -> list[tuple[float | None, float | None, str, str | None]]:
    """Return opened_s, closed_s, ended and comm of each connection."""
    return [(found["opened_s"], found["closed_s"], found["ended"], found["comm"]) for found in results(folder, "connections", events)]


def test_an_end_belongs_to_the_last_opening_of_the_same_ends_before_it(tmp_path: Path) -> None:
    assert lives(tmp_path, connect(1, comm="a"), connect(2, comm="b"), close(3, comm="b", errno=104), connect(4, comm="c")) == [
        (1.0, None, "still open", "a"),
        (2.0, 3.0, "ECONNRESET", "b"),
        (4.0, None, "still open", "c"),
    ]


def test_an_end_without_an_opening_is_a_connection_from_before(tmp_path: Path) -> None:
    assert lives(tmp_path, close(1, comm=None, pid=None), close(2), connect(3), close(4, duration_ns=SECOND)) == [
        (None, 1.0, "closed", None),
        (None, 2.0, "closed", "x"),
        (3.0, 4.0, "closed", "x"),
    ]


def test_a_socket_of_the_start_is_a_connection_once(tmp_path: Path) -> None:
    # Probes are attached before the sockets are listed: what connects in between is seen twice.
    assert lives(tmp_path, connect(0.001, comm="caller"), socket(0.002, comm="holder"), close(1)) == [(0.001, 1.0, "closed", "caller")]
    assert lives(tmp_path, socket(0.002, comm="holder"), close(1), connect(2), close(3)) == [
        (None, 1.0, "closed", "holder"),
        (2.0, 3.0, "closed", "x"),
    ]


def test_a_socket_of_the_start_may_be_accepted_later(tmp_path: Path) -> None:
    there = socket(0.002, SERVER, CLIENT, direction="inbound", comm=None, pid=None)
    assert lives(tmp_path, there, accept(1, comm="late", queued_ns=None), close(2, SERVER, CLIENT, direction="inbound")) == [
        (None, 2.0, "closed", "late")
    ]
    # Established after the probes were attached, listed before it was accepted.
    assert lives(tmp_path, there, accept(1, comm="late", queued_ns=999_000_000)) == [(0.001, None, "still open", "late")]


@pytest.mark.parametrize("state", ["listen", "syn_sent", "syn_recv", "time_wait"])
def test_sockets_that_are_no_connection_yet_or_no_more(state: str, tmp_path: Path) -> None:
    assert lives(tmp_path, socket(0.001, state=state)) == []
    assert lives(tmp_path, socket(0.001, state=state), connect(1), close(2)) == [(1.0, 2.0, "closed", "x")]


def test_the_same_ends_in_another_namespace_or_recording_are_another_connection(tmp_path: Path) -> None:
    assert lives(tmp_path, connect(1, net_ns=1), connect(2, net_ns=2), close(3, net_ns=1), close(4, net_ns=2)) == [
        (1.0, 3.0, "closed", "x"),
        (2.0, 4.0, "closed", "x"),
    ]
    found = results(tmp_path, "connections", [connect(1)], [close(2)])
    assert [(item["opened_s"], item["closed_s"], item["recording_id"][-1]) for item in found] == [(1.0, None, "1"), (None, 2.0, "2")]


def test_what_was_closed_before_it_was_accepted_is_one_connection_without_a_process(tmp_path: Path) -> None:
    gone: dict[str, Any] = {"is_closed": True, "queued_ns": None}
    end = close(1, SERVER, CLIENT, direction="inbound", pid=None, comm=None, duration_ns=SECOND // 2)
    assert lives(tmp_path, end, accept(2, **gone)) == [(0.5, 1.0, "closed", None)]


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["connect", "close", "lost close", "lost connect"])), max_size=30))
@settings(max_examples=25, deadline=None)
def test_connections_are_those_that_were_made(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]) -> None:
    """Two pairs of ends are used again and again, and some events are lost; a model of what can be known is the truth."""
    events: list[tuple[str, Row]] = []
    expected: list[tuple[float | None, float | None]] = []
    last: dict[int, int] = {}  # index in expected of the connection that is open, as far as can be known
    is_open = {0: False, 1: False}
    for number, (ends, step) in enumerate(steps, start=1):
        local, at_s = ("10.1.0.1", 40000 + ends), float(number)
        if ("connect" in step) == is_open[ends]:  # nothing can be opened twice, nor closed twice
            continue
        is_open[ends] = not is_open[ends]
        if step == "connect":
            events.append(connect(at_s, local))
            last[ends] = len(expected)
            expected.append((at_s, None))
        elif step == "close":
            events.append(close(at_s, local))
            index = last.pop(ends, None)
            if index is None:
                expected.append((None, at_s))
            else:
                expected[index] = (expected[index][0], at_s)
    found = [(item[0], item[1]) for item in lives(tmp_path_factory.mktemp("random"), *events)]
    assert sorted(found, key=str) == sorted(expected, key=str)


def edges(folder: Path, *events: tuple[str, Row]) -> list[tuple[Any, ...]]:
    """Return client, server, port, connections, failed and bytes_sent of the service map."""
    names = ("client", "server", "port", "connections", "failed", "bytes_sent")
    return [tuple(found[name] for name in names) for found in results(folder, "service_map", events)]


def test_both_ends_are_joined_across_namespaces_and_each_use_of_a_port_by_itself(tmp_path: Path) -> None:
    events = []
    for at_s, server in ((1, "first"), (3, "second")):
        events += [connect(at_s, comm="client", net_ns=1), accept(at_s + 0.0001, comm=server, net_ns=2, queued_ns=None)]
        events += [close(at_s + 1, bytes_sent=at_s), close(at_s + 1.0001, SERVER, CLIENT, direction="inbound", net_ns=2, bytes_received=at_s)]
    assert edges(tmp_path, *events) == [("client", "first", 80, 1, 0, 1), ("client", "second", 80, 1, 0, 3)]


def test_with_fast_open_a_server_may_accept_before_its_client_has_connected(tmp_path: Path) -> None:
    events = [connect(1.001, comm="client", latency_ns=1_000_000, syn_ns=START + SECOND, is_fastopen=True), accept(1.0005, comm="server")]
    assert edges(tmp_path, *events) == [("client", "server", 80, 1, 0, None)]


def test_connections_from_before_are_joined_by_their_ends(tmp_path: Path) -> None:
    there = [socket(0.001, comm="client"), socket(0.001, SERVER, CLIENT, comm="server", direction="inbound")]
    assert edges(tmp_path, *there) == [("client", "server", 80, 1, 0, None)]
    ends = [close(5, comm="client", bytes_sent=9), close(5.1, SERVER, CLIENT, comm="server", direction="inbound", bytes_received=9)]
    assert edges(tmp_path, *ends) == [("client", "server", 80, 1, 0, 9)]


def test_a_loopback_address_is_another_host_in_each_namespace(tmp_path: Path) -> None:
    local, peer = ("127.0.0.1", 40000), ("127.0.0.1", 80)
    events = [(connect(1, local, peer, comm=f"c{ns}", net_ns=ns), accept(1.0001, peer, local, comm=f"s{ns}", net_ns=ns)) for ns in (1, 2)]
    assert edges(tmp_path, *itertools.chain(*events)) == [("c1", "s1", 80, 1, 0, None), ("c2", "s2", 80, 1, 0, None)]


@pytest.mark.parametrize(("client", "server"), [("10.1.0.1", "127.0.0.1"), ("127.0.0.1", "10.1.0.1")])
def test_an_end_that_is_no_loopback_address_is_joined_to_one_that_is(client: str, server: str, tmp_path: Path) -> None:
    # A socket that is bound to the host's own address connects to its loopback address, or the other way round.
    local, peer = (client, 40000), (server, 80)
    events = []
    for ns in (1, 2):
        events += [connect(1, local, peer, comm=f"c{ns}", net_ns=ns), accept(1.0001, peer, local, comm=f"s{ns}", net_ns=ns)]
        events += [close(2, local, peer, net_ns=ns, comm=f"c{ns}", bytes_sent=ns)]
        events += [close(2.0001, peer, local, net_ns=ns, direction="inbound", bytes_received=ns)]
    assert edges(tmp_path, *events) == [("c1", "s1", 80, 1, 0, 1), ("c2", "s2", 80, 1, 0, 2)]


def test_a_failed_attempt_from_loopback_counts_for_who_serves_the_address_to_all(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"outcome": "failed", "errno": 111, "latency_ns": None, "comm": "client"}
    events = [accept(1, comm="server"), connect(2, ("127.0.0.1", 40001), **failed)]
    assert edges(tmp_path, *events) == [("10.1.0.1", "server", 80, 1, 0, None), ("client", "server", 80, 0, 1, None)]


def test_a_client_elsewhere_is_its_address_and_each_of_its_connections_counts(tmp_path: Path) -> None:
    events = [accept(1, comm="server"), close(2, SERVER, CLIENT, direction="inbound", bytes_received=5), accept(3, comm="server")]
    assert edges(tmp_path, *events) == [("10.1.0.1", "server", 80, 2, 0, 5)]


def test_a_failed_attempt_counts_for_who_was_last_seen_to_serve_there(tmp_path: Path) -> None:
    failed: dict[str, Any] = {"outcome": "failed", "errno": 111, "latency_ns": None, "comm": "client"}
    events = [connect(1, comm="client"), accept(1.1, comm="server"), connect(2, ("10.1.0.1", 40001), **failed)]
    events += [connect(3, ("10.1.0.1", 40002), ("10.1.0.2", 81), **failed)]
    assert edges(tmp_path, *events) == [("client", "server", 80, 1, 1, None), ("client", "10.1.0.2", 81, 0, 1, None)]


def test_a_container_has_the_last_of_its_own_host_names(tmp_path: Path) -> None:
    # The host's at first, its own, and then that of one that is made inside of it: unshare(2) changes the maker's, too.
    names = [context(0, "web1", 5, 50, 1), context(1, "outer", 5, 50, 1), context(2, "outer", 5, 60, 1), context(3, "inner", 6, 60, 2)]
    names.append(context(4, "inner", 5, 60, 1))
    (found,) = results(tmp_path, "container_connects", [*names, connect(5, pid_ns=5, pid_ns_level=1)])
    assert found["container"] == "outer"
    (found,) = results(tmp_path, "service_map", [*names, connect(5, pid_ns=5, pid_ns_level=1)])
    assert found["client_container"] == "outer"


def in_v1(at_s: float, container_id: str, pid_ns: int, level: int) -> tuple[str, Row]:
    own = {"container_id": container_id, "cgroup_path": "/engine.service", "memory_cgroup_id": 9, "memory_cgroup_path": f"/docker/{container_id}"}
    return context(at_s, CANNED["recording"][0]["host"], pid_ns, 50, level, **own)


def ended(at_s: float, **values: Any) -> tuple[str, Row]:
    own = {"pid": 7, "start_ns": START, "cgroup_id": 1, "ts_ns": START + round(at_s * SECOND)}
    return "exit", CANNED["exit"][0] | own | values


# Reports that name containers, with the column that does.
NAMING = {"container_connects": "container", "service_map": "client_container", "container_processes": "container", "containers": "container"}


def named(folder: Path, report: str, *events: tuple[str, Row]) -> list[str | None]:
    return [found[NAMING[report]] for found in results(folder, report, events)]


@pytest.mark.parametrize("report", NAMING)
def test_a_container_that_only_v1_knows_is_named_by_its_pid_namespace(report: str, tmp_path: Path) -> None:
    events = [in_v1(0, "a" * 64, 5, 1), in_v1(0, "b" * 64, 6, 1)]
    for pid_ns in (5, 6):
        events += [connect(1, pid_ns=pid_ns, pid_ns_level=1), ended(2, pid=pid_ns, pid_ns=pid_ns, pid_ns_level=1)]
    assert sorted(map(str, named(tmp_path, report, *events))) == ["a" * 12, "b" * 12]


@pytest.mark.parametrize("report", NAMING)
def test_containers_that_only_v1_tells_apart_are_not_taken_for_each_other_or_for_the_host(report: str, tmp_path: Path) -> None:
    pods = [in_v1(0, "a" * 64, 5, 1), in_v1(0, "b" * 64, 5, 1)]
    there: dict[str, Any] = {"pid_ns": 5, "pid_ns_level": 1}
    assert named(tmp_path, report, *pods, connect(1, **there), ended(2, **there)) == ["pid_ns 5"]
    engine: dict[str, Any] = {"comm": "containerd", "pid_ns": 1, "pid_ns_level": 0}
    found = named(tmp_path, report, in_v1(0, "a" * 64, 1, 0), connect(1, **engine), ended(2, **engine))
    assert found == ([None] if report == "service_map" else [])


def early(at_s: float, nodename: str, **values: Any) -> tuple[str, Row]:
    """Return what is seen of pid namespace 5 in the cgroup of the runtime, 2."""
    return context(at_s, nodename, 5, 50, 1, **{"cgroup_id": 2, **values})


def own(at_s: float, container_id: str, nodename: str = "own-name", pid_ns: int = 5, **values: Any) -> tuple[str, Row]:
    """Return what is seen of pid namespace 5 in the cgroup of a container, 3."""
    told = {"cgroup_id": 3, "container_id": container_id, "name": f"called-{container_id[0]}", "runtime": "podman", "image": "box:1"}
    return context(at_s, nodename, pid_ns, 50, 1, **(told | values))


HOST = str(CANNED["recording"][0]["host"])
A, B = "a" * 64, "b" * 64
# What is seen of one pid namespace, and what container those are said to be in who are in it and not in the container's cgroup.
EARLY = {
    "its maker, before": ([early(1, HOST), own(1.01, A)], "called-a"),
    "its maker, in a container": ([early(1, "outer"), own(1.01, A)], "called-a"),
    "its maker, once it has its host name": ([early(1, HOST), early(1.01, "own-name"), own(1.02, A)], "called-a"),
    "who enters it, long after": ([own(1, A), early(3000, "own-name")], "called-a"),
    "a container of two cgroups": ([early(1, HOST), own(1.01, A), own(1.02, A, cgroup_id=4)], "called-a"),
    "a container without a name": ([early(1, HOST), own(1.01, A, name=None, nodename=HOST)], A[:12]),
    "two containers": ([early(1, HOST), own(1.01, A), own(2, B, cgroup_id=4)], HOST),
    "no container": ([early(1, HOST)], HOST),
    "the number again, for another host name": ([own(1, A), early(2, "another")], "another"),
    "the number again, for the host's name": ([own(1, A), early(2, HOST)], HOST),
    "the number before, for a namespace that was there long": ([early(1, HOST), own(1000, A)], HOST),
    "another pid namespace": ([early(1, HOST), own(1.01, A, pid_ns=6)], HOST),
    "the host's": ([early(1, HOST, pid_ns_level=0), own(1.01, A, pid_ns_level=0)], None),
}


@pytest.mark.parametrize("report", NAMING)
@pytest.mark.parametrize("seen", EARLY)
def test_who_is_in_a_containers_pid_namespace_before_its_cgroup_is_in_that_container(report: str, seen: str, tmp_path: Path) -> None:
    contexts, container = EARLY[seen]
    there: dict[str, Any] = {"pid": 7, "pid_ns": 5, "cgroup_id": 2, "pid_ns_level": 1 if container else 0}
    found = named(tmp_path, report, *contexts, connect(3001, **there), ended(3002, **there))
    if report == "containers" and any(row["container_id"] for _, row in contexts):
        assert (container in found) == (container is not None)
    else:
        assert found == ([container] if container or report == "service_map" else [])


def test_a_container_has_one_line_with_those_who_are_in_it_before_its_cgroup(tmp_path: Path) -> None:
    there: dict[str, Any] = {"pid_ns": 5, "pid_ns_level": 1}
    maker: dict[str, Any] = {"pid": 7, "start_ns": START}
    entered: dict[str, Any] = {"pid": 8, "start_ns": START}
    seen = [early(1, HOST, **maker), own(1.01, A, **maker), connect(3, cgroup_id=2, **entered, **there), ended(4, cgroup_id=3, **(entered | there))]
    (found,) = results(tmp_path, "containers", seen)
    assert (found["container"], found["id"], found["runtime"], found["image"]) == ("called-a", A[:12], "podman", "box:1")
    assert (found["processes"], found["connects"]) == (2, 1)


def test_percentiles_are_latencies_that_were_measured(tmp_path: Path) -> None:
    events = [connect(1 + n / 1000, ("10.1.0.1", 40000 + n), latency_ns=n * 1_000_000) for n in range(1, 201)]
    (found,) = results(tmp_path, "connect_latency", events)
    assert [found[name] for name in ("attempts", "connected", "failed", "p50_ms", "p90_ms", "p99_ms", "max_ms")] == [200, 200, 0, 100, 180, 198, 200]


def test_what_is_still_open_is_what_the_life_of_each_connection_says(tmp_path: Path) -> None:
    events = [
        *(socket(0.002, ("10.1.0.1", port), state=state) for port, state in ((1, "established"), (2, "close_wait"), (3, "established"))),
        connect(0.001, ("10.1.0.1", 3), comm="caller"),  # listed a moment after it had connected
        close(1, ("10.1.0.1", 1)),
        connect(2, ("10.1.0.1", 1), comm="again"),  # the same ends once more
        *(connect(3, ("10.1.0.1", port), comm="again") for port in (4, 5)),
        close(4, ("10.1.0.1", 4)),
        socket(0.002, ("10.1.0.1", 6), state="time_wait"),
        connect(5, ("10.1.0.1", 7), outcome="failed", errno=111),
    ]
    found = results(tmp_path, "open_connections", events)
    names = ("comm", "open", "from_before", "half_closed", "oldest_s", "newest_s")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("again", 2, 0, 0, 2.0, 3.0),
        ("caller", 1, 0, 0, 0.001, 0.001),
        ("x", 1, 1, 1, None, None),
    ]
    lived = [life for life in lives(tmp_path, *events) if life[2] == "still open"]
    assert sorted(str(life[3]) for life in lived) == ["again", "again", "caller", "x"]
