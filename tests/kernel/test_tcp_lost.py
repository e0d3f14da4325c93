"""What finds no room is counted: rows and lost events of ``tcp_connect`` always add up to the attempts."""

from __future__ import annotations

import json
import signal
from errno import EHOSTUNREACH
from pathlib import Path

from tests.kernel.harness import recorder, run_program
from tests.kernel.net import Program, namespace, of, tcp_program
from tests.kernel.programs.attempts import DROPPED, LISTENING, REFUSED, REJECTED
from tests.kernel.test_full_ring import RING_BYTES, await_stop, stride

ATTEMPTS = 9_001


def test_what_a_full_ring_loses_is_counted_exactly(tmp_path: Path) -> None:
    options = ("--tracers", "tcp", "--ring-mib", 1, "--port", REFUSED[0])
    with namespace() as place, recorder(tmp_path / "r.bpftape", *options) as running:
        running.process.send_signal(signal.SIGSTOP)
        await_stop(running.pid)
        ended = run_program(place.inside(*tcp_program("burst", REFUSED[0], ATTEMPTS)))
        running.process.send_signal(signal.SIGCONT)
        recording = running.stop()
    assert ended.status == 0
    rows, lost = recording.table("tcp_connect"), recording.lost("tcp_connect")
    assert {(row["pid"], row["errno"], row["net_ns"]) for row in rows} == {(ended.pid, 111, rows[0]["net_ns"])}
    assert len(rows) + lost == ATTEMPTS
    # The kernel leaves no ring quite full: the positions of reader and writer would be the same as in an empty one.
    assert len(rows) == (RING_BYTES - 1) // stride(recording, "tcp_connect")
    assert recording.lost("tcp_close") == 0
    assert f"lost {lost:,}\n" in running.said()


def test_connects_that_there_is_no_room_to_remember_are_lost_and_said_to_be(tmp_path: Path) -> None:
    ports = DROPPED[:5]
    options = ("--tracers", "tcp", "--sockets", 1, "--port", f"{ports[0]}-{ports[-1]}", "--port", 1300)
    with (
        namespace() as place,
        recorder(tmp_path / "r.bpftape", *options) as running,
        Program(place.inside(*tcp_program("pending", json.dumps(list(ports))))) as program,
    ):
        who = program.hear()
        # What fails at once needs no room.
        with Program(place.inside(*tcp_program("connects", json.dumps([("no route", "192.0.2.1", 1300, False)])))) as other:
            (failed,) = other.hear()
        recording = running.stop()
    rows = of(recording, "tcp_connect", pid=who["pid"])
    assert [(row["dport"], row["outcome"]) for row in rows] == [(ports[0], "pending")]
    assert recording.lost("tcp_connect") == len(ports) - 1
    assert [(row["pid"], row["errno"]) for row in of(recording, "tcp_connect", dport=1300)] == [(failed["pid"], failed["errno"])]
    assert "lost 4\n" in running.said()


def test_a_connect_that_is_lost_is_no_row_as_well(tmp_path: Path) -> None:
    held, rejected = DROPPED[0], REJECTED[:3]
    options = ("--tracers", "tcp", "--sockets", 1, "--port", held, "--port", f"{rejected[0]}-{rejected[-1]}")
    cases = [("rejected", "127.0.0.1", port, False) for port in rejected]
    with (
        namespace() as place,
        recorder(tmp_path / "r.bpftape", *options) as running,
        Program(place.inside(*tcp_program("pending", json.dumps([held])))) as program,
    ):
        who = program.hear()
        with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as other:
            failed = other.hear()
        recording = running.stop()
    assert {attempt["errno"] for attempt in failed} == {EHOSTUNREACH}
    rows = of(recording, "tcp_connect", pid={who["pid"], failed[0]["pid"]})
    assert len(rows) + recording.lost("tcp_connect") == 1 + len(failed)


def test_ends_that_cannot_be_told_to_be_wanted_are_lost(tmp_path: Path) -> None:
    # With a filter by task the end of a connection is wanted where its process was, and that is not known without room.
    options = ("--tracers", "tcp", "--sockets", 1, "--uid", 0, "--port", LISTENING[0], "--port", DROPPED[0])
    cases = [(f"client {number}", "127.0.0.1", LISTENING[0], False) for number in range(3)]
    with (
        namespace() as place,
        recorder(tmp_path / "r.bpftape", *options) as running,
        Program(place.inside(*tcp_program("accepting", 1, LISTENING[0], LISTENING[1]))) as server,
        Program(place.inside(*tcp_program("pending", json.dumps([DROPPED[0]])))) as program,
    ):
        server.hear()
        program.hear()
        with Program(place.inside(*tcp_program("connects", json.dumps(cases), "together"))) as clients:
            connected = clients.hear()
        server.end()
        recording = running.stop()
    assert [attempt["outcome"] for attempt in connected] == ["connected"] * 3
    assert recording.table("tcp_close") == []
    assert recording.lost("tcp_connect") == 3
    assert recording.lost("tcp_close") == 6


def test_room_that_is_free_again_is_used_again(tmp_path: Path) -> None:
    with namespace() as place, recorder(tmp_path / "r.bpftape", "--tracers", "tcp", "--sockets", 1, "--port", REFUSED[0]) as running:
        ended = run_program(place.inside(*tcp_program("burst", REFUSED[0], 501)))
        recording = running.stop()
    assert ended.status == 0
    assert len(recording.table("tcp_connect")) == 501
    assert recording.lost("tcp_connect") == 0
