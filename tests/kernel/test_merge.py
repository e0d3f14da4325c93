"""Hosts in one time line: two net namespaces stand for them, and a clock of ours is added to one's rows. Who met whom, the peers say."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recordings
from analyzer.report import bundled
from analyzer.sandbox import open_sandbox
from tests.analyzer.verbs import verb
from tests.kernel.harness import Recording, recorder
from tests.kernel.net import EVENTS, Program, add_cable, assert_complete, namespace, tcp_program
from tests.merge.hosts import LATER_NS, apart
from tests.rows import Rows, write_recording

OUT, BACK = 23, 7
PORT = 8080
WALL_NS = 3_600 * 10**9


@dataclass
class Met:
    """What was recorded, as of two hosts; what they are merged into; what merge says; and what both ends say of their ports."""

    parts: list[Path]
    merged: Path
    said: dict[str, Any]
    shop: dict[str, list[int]]
    stock: dict[str, list[int]]


def rows_of(recording: Recording, net_ns: int, host: str) -> Rows:
    """Return the rows that a recorder on a host with that net namespace alone would have."""
    found = {table: recording.rows(table, net_ns={net_ns}) for table in EVENTS}
    about = [row | {"host": host, "boot_id": host} for row in recording.rows("recording")]
    counts = {table: len(rows) for table, rows in found.items()}
    coverage = [row | {"events": counts.pop(row["table"], 0)} for row in recording.rows("coverage")]
    return found | {"recording": about, "probe": recording.rows("probe"), "clock": recording.rows("clock"), "coverage": coverage}


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Met:
    folder = tmp_path_factory.mktemp("merge")
    with namespace() as left, namespace() as right:
        add_cable(left, right)
        with recorder(folder / "r.bpftape", "--tracers", "tcp") as running:
            with (
                Program(left.inside(*tcp_program("greets", "shop", "10.77.0.1", PORT, "10.77.0.2", OUT, BACK))) as shop,
                Program(right.inside(*tcp_program("greets", "stock", "10.77.0.2", PORT, "10.77.0.1", BACK, OUT))) as stock,
            ):
                assert shop.hear() == stock.hear() == "listening"
                shop.tell()
                stock.tell()
                said = shop.hear(), stock.hear()
            recording = running.stop()
        assert_complete(recording)
        hosts = [rows_of(recording, left.inode, "left"), apart(rows_of(recording, right.inode, "right"), LATER_NS, WALL_NS)]
    parts = [write_recording(folder / f"{number}.bpftape", rows, uuid.UUID(int=number)) for number, rows in enumerate(hosts, 1)]
    done = verb("merge", *parts, "-o", folder / "both.bpftape", "--json")
    assert done.returncode == 0, done.stderr
    return Met(parts, folder / "both.bpftape", json.loads(done.stdout), *said)


def test_the_connections_tell_how_far_the_clocks_are_apart(met: Met) -> None:
    _, part = met.said["parts"]
    assert part["source"] == "connections"
    assert part["connections"] == OUT + BACK
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"] < 50_000_000
    assert abs(part["wall_shift_ns"] + WALL_NS) <= part["bound_ns"]
    assert "3,600.000 s ahead" in met.said["notes"][0]


def test_the_service_map_has_the_connections_that_the_peers_counted(met: Met) -> None:
    with open_sandbox(open_recordings([met.merged])) as sandbox:
        report = bundled("service_map")
        rows = [row for batch in sandbox.execute(sandbox.prepare(report.sql, "x"), "x").batches for row in batch]
    assert [(row[1], row[3], *row[4:7], *row[8:12]) for row in rows] == [
        ("shop", "stock", PORT, len(met.shop["connected"]), 0, 0, 5 * OUT, "left", "right"),
        ("stock", "shop", PORT, len(met.stock["connected"]), 0, 0, 5 * BACK, "right", "left"),
    ]


def test_each_connection_has_both_of_its_ends(met: Met) -> None:
    sql = """
    SELECT c.host, a.host, c.sport FROM tcp_connect c JOIN tcp_accept a ON (a.saddr, a.sport, a.daddr, a.dport) = (c.daddr, c.dport, c.saddr, c.sport)
    CROSS JOIN (SELECT max(bound_ns) AS bound_ns FROM recording) r
    WHERE a.ts_ns - a.queued_ns > c.ts_ns - r.bound_ns AND a.ts_ns < c.ts_ns + 1000000000
    """
    with open_sandbox(open_recordings([met.merged])) as sandbox:
        found = sandbox.rows(sql, ["tcp_connect", "tcp_accept", "recording"])
    for client, server, ports in (("left", "right", met.shop["connected"]), ("right", "left", met.stock["connected"])):
        assert sorted(port for one, other, port in found if (one, other) == (client, server)) == sorted(ports)
    assert sorted(met.shop["connected"]) == sorted(met.stock["accepted"])
