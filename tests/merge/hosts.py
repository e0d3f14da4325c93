"""Recordings of two hosts whose clocks are known to be apart, from hand-written rows: web1 connects to db1, and db1 to web1."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from recorder.schema import TABLES, Clock, Type
from tests.rows import Row, Rows, read_rows, wall_clock, write_recording

BEGIN_NS = 1_000_000_000_000
BOOT = {"web1": "11111111-2222-3333-4444-555555555555", "db1": "66666666-7777-8888-9999-000000000000"}
ADDRESS = {"web1": "10.1.0.1", "db1": "10.1.0.2"}

LATER_NS = 77_000_000_000_000
"""How much longer db1 is up: what its CLOCK_BOOTTIME is ahead by."""


def connection(
    client: str, server: str, number: int, at_ns: int, there_ns: int = 100_000, back_ns: int = 100_000, life_ns: int = 2_000_000
) -> dict[str, Rows]:
    """Return what both hosts record of a connection, in the time of web1.

    A SYN goes out at ``at_ns``, packets take ``there_ns`` from the client to the server and ``back_ns`` the other way, and ``life_ns`` after it the
    client, which received data, is closed.
    """
    ends = {"saddr": ADDRESS[client], "sport": 40_000 + number, "daddr": ADDRESS[server], "dport": 5_432 if server == "db1" else 80}
    ends |= {"family": 4, "saddr_scope": "private", "daddr_scope": "private", "is_mptcp": False}
    mirrored = ends | {"saddr": ends["daddr"], "sport": ends["dport"], "daddr": ends["saddr"], "dport": ends["sport"]}
    established_ns = at_ns + there_ns + back_ns
    accepted_ns = established_ns + there_ns
    closed_ns = at_ns + life_ns
    connect = task("app", 600) | ends | {"outcome": "connected", "errno": 0, "is_fastopen": False}
    connect |= {"syn_ns": at_ns, "ts_ns": established_ns, "latency_ns": there_ns + back_ns}
    close = task("app", 600) | ends | {"direction": "outbound", "ts_ns": closed_ns, "duration_ns": closed_ns - established_ns}
    close |= {"bytes_sent": 100, "bytes_received": 1_000, "retransmits": 0}
    accept = task("postgres", 700) | mirrored | {"ts_ns": accepted_ns + 50_000, "queued_ns": 50_000, "is_closed": False}
    client_rows: Rows = {"tcp_connect": [connect], "tcp_close": [close]}
    server_rows: Rows = {"tcp_accept": [accept]}
    return {client: client_rows, server: server_rows}


def task(comm: str, pid: int) -> Row:
    """Return the columns of a task."""
    return {
        "pid": pid,
        "tid": pid,
        "ppid": 1,
        "start_ns": BEGIN_NS - 60_000_000_000,
        "comm": comm,
        "uid": 0,
        "cgroup_id": 1,
        "pid_ns": 4026531836,
        "net_ns": 4026531840,
        "pid_ns_level": 0,
    }


def host(name: str, connections: Iterable[dict[str, Rows]] = (), boot_id: str | None = "", seconds: int = 10) -> Rows:
    """Return a recording's rows of ``name``, in the time of web1: no events but those of ``connections``."""
    rows = read_rows()
    about = rows["recording"][0] | {"host": name, "boot_id": BOOT[name] if boot_id == "" else boot_id, "end_ns": BEGIN_NS + seconds * 1_000_000_000}
    found: Rows = {"recording": [about], "probe": rows["probe"], "clock": rows["clock"][:1], "coverage": rows["coverage"]}
    for item in connections:
        for table, made in item.get(name, {}).items():
            found.setdefault(table, []).extend(made)
    counted = {table: len(made) for table, made in found.items()}
    quiet = {"events": 0, "lost": 0, "bytes": 0}
    found["coverage"] = [row | quiet | {"events": counted.pop(row["table"], 0)} for row in found["coverage"] if row["unwritten"] is None]
    found = {table: [dict(row) for row in made] for table, made in found.items()}
    offset_ns = found["clock"][0]["realtime_ns"] - found["clock"][0]["boottime_ns"]
    for row in (row for made in found.values() for row in made):
        if "ts_ns" in row:
            row["ts"] = wall_clock(row["ts_ns"] + offset_ns)
    return found


def apart(rows: Rows, later_ns: int, wall_ns: int = 0, drift_ppm: int = 0) -> Rows:
    """Return the same rows as a host has them that was up for ``later_ns`` longer, and whose wall clock is ahead by ``wall_ns``."""

    def moved(clock: Clock, kind: Type, value: int | object) -> object:
        if value is None:
            return None
        if kind is Type.TIMESTAMP:
            return value + timedelta(microseconds=wall_ns // 1000)  # type: ignore[operator]
        assert isinstance(value, int)
        if clock is Clock.WALL:
            return value + wall_ns
        return value + later_ns + (value - BEGIN_NS) * drift_ppm // 1_000_000

    def row_of(table: str, row: Row) -> Row:
        clocks = {column.name: column for column in TABLES[table].columns if column.clock}
        return {name: moved(clocks[name].clock, clocks[name].type, value) if name in clocks else value for name, value in row.items()}  # type: ignore[arg-type]

    return {table: [row_of(table, row) for row in made] for table, made in rows.items()}


def write(folder: Path, name: str, rows: Rows, number: int) -> Path:
    """Write a recording of ``name``."""
    return write_recording(folder / f"{name}_20260115T120000Z.bpftape", rows, uuid.UUID(int=number))
