"""The reports about packets dropped on purpose: shares of what came, and whether failures of that time were of our making."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recording
from analyzer.report import bundled
from analyzer.sandbox import open_sandbox
from tests.rows import Row, read_rows, write_recording

SECOND = 1_000_000_000
START = 1000 * SECOND
CANNED = read_rows()
META = {table: CANNED[table] for table in ("recording", "clock", "coverage")}


def result(tmp_path: Path, name: str, *rows: tuple[str, Row]) -> list[dict[str, Any]]:
    """Return what a report says of a recording in which packets were dropped from second 4 to second 6."""
    tables: dict[str, list[Row]] = {table: [] for table in ("tcp_connect", "xdp_drop", "xdp_pass")}
    for table, row in rows:
        tables[table].append(row)
    probes = [row for row in CANNED["probe"] if row["tracer"] == "xdp"]
    window = {"attached_ns": START + 4 * SECOND, "detached_ns": START + 6 * SECOND}
    recording = open_recording(write_recording(tmp_path / "x.bpftape", META | tables | {"probe": [probes[0] | window]}))
    report = bundled(name)
    with open_sandbox([recording]) as sandbox:
        found = sandbox.execute(sandbox.prepare(report.sql, name), name, report.values([]))
        names = [field.name for field in found.fields]
        return [dict(zip(names, row, strict=True)) for batch in found.batches for row in batch]


def drop(at_s: float, packets: int, rule: str = "tcp", **values: Any) -> tuple[str, Row]:
    common = {"ts_ns": START + round(at_s * SECOND), "interval_ns": SECOND // 5, "rule": rule, "protocol": rule.split()[0], "packets": packets}
    return "xdp_drop", CANNED["xdp_drop"][0] | {"type": None, "code": None, "interface": "eth0"} | common | values


def passed(at_s: float, packets: int, interface: str = "eth0") -> tuple[str, Row]:
    return "xdp_pass", CANNED["xdp_pass"][0] | {"ts_ns": START + round(at_s * SECOND), "packets": packets, "interface": interface}


def connect(at_s: float, took_s: float = 0.001, **values: Any) -> tuple[str, Row]:
    """Return a connect whose SYN left at ``at_s``."""
    syn_ns = START + round(at_s * SECOND)
    row = {"ts_ns": syn_ns + round(took_s * SECOND), "syn_ns": syn_ns, "latency_ns": round(took_s * SECOND), "daddr": "10.9.9.9", "dport": 80}
    return "tcp_connect", CANNED["tcp_connect"][0] | row | {"outcome": "connected", "errno": 0, "family": 4} | values


def timed_out(at_s: float) -> tuple[str, Row]:
    return connect(at_s, 0.5, outcome="failed", errno=110, latency_ns=None)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([connect(1), connect(2), timed_out(4.5), drop(4.4, 3)], "likely, unanswered"),
        ([connect(1), timed_out(2), timed_out(4.5), connect(5), drop(4.4, 3)], "no sign of it"),
        ([connect(1), connect(5, 0.004), drop(5, 1)], "likely, slower"),
        ([connect(1), connect(5, 0.0015), drop(5, 1)], "no sign of it"),
        ([timed_out(4.5), drop(4.4, 3)], "nothing to compare with"),
        ([connect(1), timed_out(4.5)], "no, nothing dropped"),
        ([connect(1), timed_out(4.5), drop(5.5, 3)], "no, nothing dropped"),  # behind its end
        ([connect(1), timed_out(4.5), drop(4.5, 3, rule="icmp")], "no, nothing dropped"),  # that takes no part in a connect
        ([connect(1), connect(5, outcome="failed", errno=111, latency_ns=None), drop(5, 1)], "no sign of it"),  # it was answered
        ([connect(1), connect(5, 0.9, outcome="closed", errno=None, latency_ns=None), drop(5, 1)], "likely, unanswered"),
        ([connect(1), connect(3.5, 2, outcome="pending", errno=None, latency_ns=None), drop(5, 1)], "likely, unanswered"),
    ],
)
def test_was_it_us(tmp_path: Path, rows: list[tuple[str, Row]], verdict: str) -> None:
    (found,) = result(tmp_path, "during_drop", *rows)
    assert found["was_it_us"] == verdict
    assert found["connects_during"] + found["connects_outside"] == len([table for table, _ in rows if table == "tcp_connect"])


def test_neighbours_are_found_by_icmp6_so_it_counts_for_ipv6(tmp_path: Path) -> None:
    ends: dict[str, Any] = {"daddr": "2001:db8::1", "family": 6}
    failed = connect(5, 0.5, outcome="closed", errno=None, latency_ns=None, **ends)
    (found,) = result(tmp_path, "during_drop", connect(1, **ends), failed, drop(5, 2, rule="icmp6", type=136, code=0))
    assert (found["was_it_us"], found["dropped"]) == ("likely, unanswered", 2)


def test_what_is_dropped_is_counted_once_for_a_destination(tmp_path: Path) -> None:
    rows = [connect(1), timed_out(4.5), timed_out(4.6), drop(4.6, 3), drop(4.6, 2, rule="tcp 25%"), drop(4.8, 4)]
    (found,) = result(tmp_path, "during_drop", *rows)
    assert (found["dropped"], found["unanswered_during"], found["connects_outside"]) == (9, 2, 1)


def test_a_share_is_of_all_that_came_by_the_interface_in_that_second(tmp_path: Path) -> None:
    echo = {"type": 8, "code": 0}
    rows = [drop(4.0, 3, rule="icmp", **echo), drop(4.2, 1, rule="icmp", **echo), drop(4.2, 2, rule="tcp"), passed(4.4, 10), passed(5.0, 7)]
    found = result(tmp_path, "xdp_drops", *rows, passed(4.0, 99, "lo"), drop(5.0, 7, rule="icmp", **echo))
    assert [(row["second"], row["rule"], row["packets"], row["share_pct"]) for row in found] == [
        (4, "icmp", 4, 25.0),
        (4, "tcp", 2, 12.5),
        (5, "icmp", 7, 50.0),
    ]
