"""However a recorder that drops packets ends, no program stays on the interface, and packets pass again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf_ids import exists, held
from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Recording, eventually, recorder
from tests.kernel.net import Namespace, add_cable, namespace, only
from tests.kernel.pings import ping, xdp_of
from tests.support import REPO

_RAISING = """
import sys
from pathlib import Path
from recorder import drops
from recorder.session import Options, recording

wanted = drops.parse(["icmp@right"], None, None, None, None)
with recording(Options(Path(sys.argv[1]), ("xdp",), drops=wanted)) as session:
    print("recording", flush=True)
    sys.stdin.readline()
    raise ZeroDivisionError("in mid-run")
"""


@pytest.fixture
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as left, namespace() as right:
        add_cable(left, right)
        yield left, right


def assert_nothing_is_left(left: Namespace, right: Namespace, objects: set[tuple[str, int]]) -> None:
    assert xdp_of(right, "right") is None
    assert len(ping(left, "10.77.0.2", 3).answered) == 3
    # The kernel frees maps and programs behind a grace period of RCU.
    eventually("all BPF objects are gone", lambda: not any(exists(*item) for item in objects))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_the_program_leaves_with_the_recorder(tmp_path: Path, cable: tuple[Namespace, Namespace], number: signal.Signals, mode: str) -> None:
    left, right = cable
    options = ["--tracers", "xdp", "--drop", "icmp@right", "--xdp-mode", mode]
    with recorder(tmp_path / "r.bpftape", *options, wrapper=right.inside()) as running:
        assert xdp_of(right, "right") is not None
        objects = held(running.pid)
        assert {kind for kind, _ in objects} == {"prog_id", "map_id", "link_id"}
        assert ping(left, "10.77.0.2", 3).answered == frozenset()
        running.process.send_signal(number)
        running.await_end()
    assert_nothing_is_left(left, right, objects)


def test_it_leaves_when_the_recorder_is_killed_in_its_window(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    options = ["--tracers", "xdp", "--drop", "icmp@right", "--drop-after", 0.3, "--segment-seconds", 1]
    with recorder(tmp_path / "r.bpftape", *options, wrapper=right.inside()) as running:
        eventually("the window opens", lambda: xdp_of(right, "right"))
        objects = held(running.pid)
        recording = Recording(tmp_path / "r.bpftape")
        eventually("that is written down", lambda: recording.rows("probe", tracer="xdp"))
        running.process.kill()
        running.await_end()
    assert_nothing_is_left(left, right, objects)
    found = only(recording.rows("probe", tracer="xdp"))
    assert (found["status"], found["detached_ns"]) == ("attached", None)
    assert found["attached_ns"] >= recording.about()["start_ns"]


def test_it_leaves_when_the_recorded_command_cannot_be_executed(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    words = [RECORD, "--drop", "icmp@right", "--output", tmp_path / "r.bpftape", "--", "/no/such/program"]
    done = subprocess.run(right.inside(*words), capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 127, done.stderr
    assert_nothing_is_left(left, right, set())


def test_an_exception_in_mid_run_takes_it_off(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    words = right.inside("/usr/bin/env", "-C", REPO, sys.executable, "-c", _RAISING, tmp_path / "r.bpftape")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "recording\n"
        assert xdp_of(right, "right") is not None
        objects = held(process.pid)
        pings = ping(left, "10.77.0.2", 7)
        _, said = process.communicate("go on\n", timeout=PATIENCE_SECONDS)
    assert "ZeroDivisionError: in mid-run" in said
    assert_nothing_is_left(left, right, objects)
    recording = Recording(tmp_path / "r.bpftape")
    assert recording.about()["clean_end"] is False
    assert (sum(row["packets"] for row in recording.table("xdp_drop")), pings.answered) == (7, frozenset())


def test_an_interface_that_disappears_is_let_go_and_told_and_the_others_go_on(tmp_path: Path, cable: tuple[Namespace, Namespace]) -> None:
    left, right = cable
    right.ip("link", "add", "gone", "type", "veth", "peer", "name", "far", "netns", left.name)
    right.ip("link", "set", "gone", "up")
    drops = ["--tracers", "xdp", "--drop", "icmp@right", "--drop", "icmp@gone"]
    with recorder(tmp_path / "r.bpftape", *drops, "--segment-seconds", 1, wrapper=right.inside()) as running:
        right.ip("link", "del", "gone")
        before = Recording(tmp_path / "r.bpftape")
        eventually("that is noticed", lambda: before.rows("probe", interface="gone", reason="gone has gone"))
        pings = ping(left, "10.77.0.2", 9)
        objects = held(running.pid)
        recording = running.stop()
    assert "icmp@gone, which has gone" in running.said()
    assert (sum(row["packets"] for row in recording.rows("xdp_drop", interface="right")), pings.answered) == (9, frozenset())
    gone, stayed = (only(recording.rows("probe", tracer="xdp", interface=name)) for name in ("gone", "right"))
    assert gone["detached_ns"] < stayed["detached_ns"]
    assert recording.about()["clean_end"] is True
    assert not all(row["attached"] for row in recording.rows("coverage", table="xdp_drop"))
    assert_nothing_is_left(left, right, objects)
