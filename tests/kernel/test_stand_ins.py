"""What one program of a hook does for another that was left out: each event has its row, and one only, whichever of the two ran."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.kernel.harness import GIVES_WAY, PROGRAMS, Recording, program, recorder, true_path
from tests.kernel.net import Program, namespace, of, tcp_program
from tests.recorder.c_structs import constant

AS_IF = (sys.executable, "-P", str(PROGRAMS / "as_if.py"))
MANY = str(constant("MOST_CPUS"))
PROCESSES, COUNT = 16, 24
WORKERS, CLIENTS = 5, 64
PORT, OWN = 5400, 5401

in_each_way = pytest.mark.parametrize(
    "wrapper",
    [(), (*AS_IF, "--gives-way", "--cpus", MANY), (*AS_IF, "--gives-way", "--left-out")],
    ids=["as this kernel is", "where both run on a large host", "where the first ones are left out"],
)


def hold(found: Iterable[int], wanted: Iterable[int], recording: Recording, table: str) -> None:
    """Hold that each of ``wanted`` is found once, but for what is known to be lost: on a kernel that leaves programs out both may be."""
    rows, events, lost = list(found), set(wanted), recording.lost(table)
    assert len(rows) == len(set(rows)), f"rows of {table} are there twice"
    assert set(rows) <= events
    assert len(events) - len(rows) <= lost, f"rows of {table} are missing in silence"
    assert GIVES_WAY or not lost


@in_each_way
def test_processes_that_start_others_all_at_once_have_a_row_of_each_table(tmp_path: Path, wrapper: tuple[str, ...]) -> None:
    command = program("crowd", PROCESSES, COUNT, true_path())
    with recorder(tmp_path / "r.bpftape", "--follow-children", wrapper=wrapper, command=command) as running:
        assert running.await_end() == 0, running.said()
    recording = Recording(tmp_path / "r.bpftape")
    processes = [[int(pid) for pid in line.split()] for line in running.output.everything().splitlines()]
    started = {pid for _, *children in processes for pid in children}
    own = {pid for pids in processes for pid in pids}
    assert (len(started), len(own)) == (PROCESSES * COUNT, PROCESSES * COUNT + PROCESSES)
    hold((row["child_pid"] for row in recording.rows("clone", child_pid=own)), own, recording, "clone")
    hold((row["pid"] for row in recording.rows("exec", pid=started)), started, recording, "exec")
    hold((row["pid"] for row in recording.rows("exit", pid=own)), own, recording, "exit")
    assert GIVES_WAY or [probe["reason"] for probe in recording.table("probe") if probe["reason"]] == []


@in_each_way
def test_connections_that_are_made_all_at_once_have_a_row_of_each_table(tmp_path: Path, wrapper: tuple[str, ...]) -> None:
    cases = [(f"client {number}", "127.0.0.1", PORT, True) for number in range(CLIENTS)]
    cases += [(f"no route {number}", "192.0.2.1", PORT, True) for number in range(CLIENTS)]
    with namespace() as place, recorder(tmp_path / "r.bpftape", "--tracers", "tcp", wrapper=wrapper) as running:
        with Program(place.inside(*tcp_program("accepting", WORKERS, PORT, OWN))) as server:
            workers = set(server.hear()["workers"])
            with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as clients:
                tried = clients.hear()
            server.end()
            taken = server.hear()
        recording = running.stop()
    ports = {row["dport"] for row in taken}
    assert (len(ports), len(tried)) == (CLIENTS, 2 * CLIENTS)
    client = tried[0]["pid"]
    hold((row["sport"] for row in of(recording, "tcp_connect", pid=client)), (row["sport"] for row in tried), recording, "tcp_connect")
    hold((row["dport"] for row in of(recording, "tcp_accept", pid=workers)), ports, recording, "tcp_accept")
    hold((row["sport"] for row in of(recording, "tcp_close", pid=client)), ports, recording, "tcp_close")


def test_the_verifier_takes_all_programs_on_a_large_host(tmp_path: Path) -> None:
    wrapper = (*AS_IF, "--cpus", MANY)
    with recorder(tmp_path / "r.bpftape", "--follow-children", wrapper=wrapper, command=[true_path()]) as running:
        assert running.await_end() == 0, running.said()
    assert [probe for probe in Recording(tmp_path / "r.bpftape").table("probe") if probe["status"] != "attached"] == []


def test_an_old_note_hides_no_change_of_state_of_the_next_socket_at_that_address(tmp_path: Path) -> None:
    again = str(PROGRAMS / "again.py")
    wrapper = (sys.executable, "-P", str(PROGRAMS / "stale_notes.py"), "--by", again)
    with recorder(tmp_path / "r.bpftape", "--tracers", "tcp", wrapper=wrapper, command=program("again", 64)) as running:
        assert running.await_end() == 0, running.said()
    recording = Recording(tmp_path / "r.bpftape")
    listener, *ports = map(int, running.output.everything().split())
    assert sorted(row["sport"] for row in recording.rows("tcp_connect", dport=listener)) == sorted(ports)
    assert sorted(row["sport"] for row in recording.rows("tcp_close", dport=listener)) == sorted(ports)
    assert sorted(row["dport"] for row in recording.rows("tcp_close", sport=listener)) == sorted(ports)
