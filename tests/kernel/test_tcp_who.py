"""The process of a connect is the one that called connect(2): never one that was interrupted, nor one that came later."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.harness import Recording, Row, eventually, program, recorder, run_program
from tests.kernel.net import Namespace, Program, assert_complete, assert_told, namespace, of, only, tcp_program
from tests.kernel.programs.attempts import DROPPED, LATE, LISTENING

LATE_COUNT = 23
THREADS = 64


@dataclass
class Who:
    recording: Recording
    threads: list[Row]
    late: list[Row]
    spinners: list[int]
    left: dict[str, Row]
    heir: Row
    reused: list[Row]


def leave(place: Namespace) -> tuple[dict[str, Row], Row]:
    """Have processes end in mid-connect, by themselves, by a signal, and with an heir."""
    exits = run_program(place.inside(*tcp_program("leaves", "exit", DROPPED[0])))
    with Program(place.inside(*tcp_program("leaves", "wait", DROPPED[1]))) as waiting:
        killed = waiting.hear()
        # It has said all that it says: nothing but connect(2) can make it sleep.
        eventually("it waits in connect(2)", lambda: Path(f"/proc/{waiting.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
        waiting.process.send_signal(signal.SIGKILL)
        assert waiting.process.wait() == -signal.SIGKILL
    with Program(place.inside(*tcp_program("leaves", "leave", LATE[90]))) as leaving:
        left = leaving.hear()
        heir = leaving.hear()
        assert leaving.process.wait() == 7
    return {"exit": json.loads(exits.output), "kill": killed, "leave": left}, heir


def reuse(place: Namespace) -> list[Row]:
    """Connect in a process, then in another one with its process id."""
    words = place.inside(*tcp_program("one_connect", LISTENING[0]))
    first: Row = json.loads(run_program(words).output)

    def second() -> str:
        # Until the kernel has freed the first one, which it does behind a grace period of RCU, its number is taken.
        return run_program(program("as_pid", first["pid"], *words)).output

    output = eventually("the process id is free", second)
    return [first, json.loads(output.splitlines()[0])]


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Who]:
    with (
        namespace() as place,
        Program(place.inside(*tcp_program("listens", json.dumps([["127.0.0.1", LISTENING[0]], ["127.0.0.1", LATE[90]]])))) as server,
    ):
        server.hear()
        with recorder(tmp_path_factory.mktemp("who") / "r.bpftape", "--tracers", "tcp") as running:
            late_program = Program(place.inside(*tcp_program("late", LATE_COUNT)))
            with late_program:
                cases = [(f"thread {number}", "127.0.0.1", LISTENING[0], number % 2) for number in range(THREADS)]
                with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as client:
                    threads = client.hear()
                left, heir = leave(place)
                reused = reuse(place)
                late, spinners = late_program.hear()
            recording = running.stop()
        yield Who(recording, threads, late, spinners, left, heir, reused)


def test_64_threads_that_connect_at_once_are_64_rows_of_theirs(who: Who) -> None:
    rows = of(who.recording, "tcp_connect", pid=who.threads[0]["pid"])
    assert len({attempt["tid"] for attempt in who.threads}) == len(rows) == THREADS
    assert {row["sport"]: row["tid"] for row in rows} == {attempt["sport"]: attempt["tid"] for attempt in who.threads}
    assert {row["outcome"] for row in rows} == {"connected"}
    assert_complete(who.recording)


def test_the_caller_has_the_connect_whoever_runs_when_it_is_established(who: Who) -> None:
    assert len(who.late) == len({attempt["pid"] for attempt in who.late}) == LATE_COUNT
    assert_told(who.recording, who.late)  # the name is among what is compared: that of the call, though each changes it meanwhile
    for table in ("tcp_connect", "tcp_accept", "tcp_close"):
        assert of(who.recording, table, pid=set(who.spinners)) == []


def test_their_connections_end_as_theirs(who: Who) -> None:
    for attempt in who.late:
        close = only(of(who.recording, "tcp_close", sport=attempt["sport"], dport=attempt["dport"]))
        assert (close["pid"], close["comm"], close["direction"]) == (attempt["pid"], attempt["comm"], "outbound")


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_process_that_ends_in_mid_connect_has_closed_it(who: Who, how: str) -> None:
    left = who.left[how]
    row = only(of(who.recording, "tcp_connect", pid=left["pid"]))
    assert (row["outcome"], row["errno"], row["latency_ns"]) == ("closed", None, None)
    assert (row["comm"], row["ppid"], row["sport"]) == ("the caller", os.getpid(), left["sport"])
    assert row["syn_ns"] < row["ts_ns"]


def test_a_handshake_that_ends_behind_its_process_is_still_its_own(who: Who) -> None:
    left = who.left["leave"]
    assert who.heir["error"] == 0
    assert who.heir["parent"] != left["pid"], "it was gone by then"
    row = only(of(who.recording, "tcp_connect", pid=left["pid"]))
    assert (row["outcome"], row["errno"], row["comm"], row["sport"]) == ("connected", 0, "the caller", left["sport"])
    assert of(who.recording, "tcp_connect", pid=who.heir["pid"]) == []
    close = only(of(who.recording, "tcp_close", sport=left["sport"], dport=LATE[90]))
    assert (close["pid"], close["comm"]) == (left["pid"], "the caller")


def test_two_processes_of_one_pid_are_told_apart_by_their_start(who: Who) -> None:
    first, second = who.reused
    assert first["pid"] == second["pid"]
    rows = of(who.recording, "tcp_connect", pid=first["pid"])
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    assert [(row["sport"], row["start_ns"] // tick_ns) for row in rows] == [(process["sport"], process["start_ticks"]) for process in who.reused]
    assert len({row["start_ns"] for row in rows}) == 2
    closes = of(who.recording, "tcp_close", pid=first["pid"])
    assert [row["start_ns"] for row in closes] == [row["start_ns"] for row in rows]
