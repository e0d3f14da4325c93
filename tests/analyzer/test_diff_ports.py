"""``bpftape diff`` over ephemeral ports: those that are others each time are one line, those that mean something one each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.analyzer.differing import differences, quiet_rows, verb
from tests.rows import Row, write_recording

# As ip_local_port_range of Linux has it; none of either is in the other.
OF_A, OF_B = range(33_000, 47_000, 1_000), range(33_500, 47_500, 1_000)
QUIET = quiet_rows()
CONNECT = next(row for row in QUIET["tcp_connect"] if row["outcome"] == "connected" and row["latency_ns"] is not None)
ACCEPT = QUIET["tcp_accept"][0]
LISTEN = next(row for row in QUIET["tcp_socket"] if row["state"] == "listen")


def connects(ports: Iterable[int], comm: str = "ftp", **changed: Any) -> list[Row]:
    return [CONNECT | {"comm": comm, "daddr": "10.1.2.3", "daddr_scope": "private", "dport": port} | changed for port in ports]


def recording(path: Path, **more: list[Row]) -> Path:
    """Write what is in all recordings of this test, and ``more``."""
    return write_recording(path, {name: [*rows, *more.get(name, [])] for name, rows in QUIET.items()})


def changes(a: Path, b: Path, aspect: str, **options: Any) -> dict[str, str]:
    return {what: row["change"] for (_, what), row in differences(a, b, aspect, **options).items()}


def test_who_connects_to_another_port_each_time_does_the_same(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape", tcp_connect=connects(OF_A))
    b = recording(tmp_path / "b.bpftape", tcp_connect=[*connects(OF_B), *connects([5432], "shop")])
    assert changes(a, b, "destinations") == {"shop -> 10.1.2.3 port 5432": "new"}
    same = differences(a, b, "destinations", everything=True)["destinations", "ftp -> 10.1.2.3 port 32768-65535 (14 ports in A, 14 in B)"]
    assert (same["change"], same["a_events"], same["b_events"]) == ("same", 14, 14)


def test_what_was_told_together_is_said_and_can_be_told_one_by_one(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape", tcp_connect=connects(OF_A))
    b = recording(tmp_path / "b.bpftape", tcp_connect=connects(OF_B))
    notes = json.loads(verb(a, b, "--json").stdout)["coverage"]["notes"]
    assert "ports from 32768 to 65535 that only one of both has are told together (destinations 28, latency 28); --each-port tells each" in notes
    each = changes(a, b, "destinations", each_port=True)
    assert each == {f"ftp -> 10.1.2.3 port {port}": change for ports, change in ((OF_A, "gone"), (OF_B, "new")) for port in ports}


def test_that_it_began_or_ended_is_one_line_with_all_of_its_events(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape")
    b = recording(tmp_path / "b.bpftape", tcp_connect=[*connects(OF_A), *connects(OF_A), *connects(OF_B, "rpc")])
    found = differences(a, b, "destinations")
    assert {what: (row["change"], row["b_events"]) for (_, what), row in found.items()} == {
        "ftp -> 10.1.2.3 port 32768-65535 (14 ports)": ("new", 28),
        "rpc -> 10.1.2.3 port 32768-65535 (14 ports)": ("new", 14),
    }
    assert changes(b, a, "destinations") == {what: "gone" for _, what in found}


def test_that_it_became_slower_is_told_over_all_of_its_ports(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape", tcp_connect=connects(OF_A, latency_ns=100_000))
    b = recording(tmp_path / "b.bpftape", tcp_connect=connects(OF_B, latency_ns=900_000))
    ((_, what),) = found = differences(a, b, "latency")
    assert what == "10.1.2.3 port 32768-65535 (14 ports in A, 14 in B)"
    assert (found["latency", what]["change"], found["latency", what]["times"]) == ("slower", 9.0)


def test_a_port_that_both_have_is_a_line_of_its_own(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape", tcp_connect=[*connects(OF_A), *connects([50_051])])
    b = recording(tmp_path / "b.bpftape", tcp_connect=[*connects(OF_B), *connects([50_051] * 40)])
    assert changes(a, b, "destinations") == {"ftp -> 10.1.2.3 port 50051": "more"}


@pytest.mark.parametrize("how", ["tcp_socket", "tcp_accept"])
def test_a_port_that_somebody_listens_on_in_both_is_a_line_of_its_own(how: str, tmp_path: Path) -> None:
    known = {how: [(LISTEN if how == "tcp_socket" else ACCEPT) | {"sport": 33_060}]}
    without = recording(tmp_path / "without.bpftape", tcp_connect=connects(OF_A))
    a = recording(tmp_path / "a.bpftape", tcp_connect=connects(OF_A), **known)
    b = recording(tmp_path / "b.bpftape", tcp_connect=connects([*OF_B, 33_060]), **known)
    assert changes(a, b, "destinations") == {"ftp -> 10.1.2.3 port 33060": "new"}
    assert changes(without, b, "destinations") == {}


def test_one_that_is_alone_keeps_its_name_and_so_do_services_below(tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape")
    b = recording(tmp_path / "b.bpftape", tcp_connect=[*connects([50_051]), *connects([30_001, 30_002, 32_767], "kube")])
    ports = {"ftp": [50_051], "kube": [30_001, 30_002, 32_767]}
    assert changes(a, b, "destinations") == {f"{comm} -> 10.1.2.3 port {port}": "new" for comm in ports for port in ports[comm]}


def test_a_scan_is_one_line_for_each_error_and_a_service_on_random_ports_one(tmp_path: Path) -> None:
    refused = connects(OF_A, "nmap", outcome="failed", errno=111, latency_ns=None)
    timed_out = connects(OF_B, "nmap", outcome="failed", errno=110, latency_ns=None)
    a = recording(tmp_path / "a.bpftape")
    b = recording(tmp_path / "b.bpftape", tcp_connect=[*refused, *timed_out], tcp_accept=[ACCEPT | {"comm": "nfsd", "sport": port} for port in OF_A])
    ports = "port 32768-65535 (14 ports)"
    assert changes(a, b, "failures") == {f"nmap -> 10.1.2.3 {error} {ports}": "new" for error in ("ECONNREFUSED", "ETIMEDOUT")}
    assert changes(a, b, "accepts") == {f"nfsd {ports}": "new"}


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "md", "json", "html"])
def test_every_format_has_the_same_line_and_note(form: str, tmp_path: Path) -> None:
    a = recording(tmp_path / "a.bpftape")
    b = recording(tmp_path / "b.bpftape", tcp_connect=connects(OF_A))
    done = verb(a, b, "--only", "destinations", "--format", form)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("port 32768-65535 (14 ports)") == 1
    assert "told together (destinations 14)" in (done.stdout if form in ("json", "md", "html") else done.stderr)
