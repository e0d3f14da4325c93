"""A recording ends by Ctrl-C, by a signal, by its duration or with its command, and then everything that came is in it."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Recording, Spawner, eventually, launched, recorder, true_path

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignoring(name: str) -> list[str]:
    """Return what to put before a command for it to be started with a signal ignored."""
    return ["/bin/sh", "-c", f'trap "" {name}; exec "$@"', "sh"]


@pytest.mark.parametrize("number", ENDING, ids=lambda number: signal.Signals(number).name)
def test_signals_end_a_recording_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape") as running:
        children = spawner.spawn(23, true_path())
        recording = running.stop(number)
    about = recording.about()
    assert (about["clean_end"], about["end_reason"]) == (True, number.name)
    for table in ("exec", "exit"):
        assert [row["pid"] for row in recording.rows(table, ppid=spawner.pid)] == children
    recording.assert_consistent()
    said = running.said()
    assert str(recording.path) in said
    assert "lost: nothing" in said
    assert f"analyze overview {recording.path}" in said.splitlines()[-1]
    for table in ("clone", "exec", "exit", "process"):
        assert f"{len(recording.table(table)):,} rows" in next(line for line in said.splitlines() if line.split()[0] == table)


def test_ctrl_c_ends_a_recording_that_a_script_started_in_the_background(tmp_path: Path) -> None:
    # A shell without job control starts background jobs with SIGINT ignored.
    with recorder(tmp_path / "r.bpftape", wrapper=ignoring("INT")) as running:
        recording = running.stop(signal.SIGINT)
    assert (recording.about()["clean_end"], recording.about()["end_reason"]) == (True, "SIGINT")


def test_nohup_keeps_a_recording_from_ending_by_sighup(tmp_path: Path) -> None:
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", "--print", wrapper=ignoring("HUP")) as running:
        running.process.send_signal(signal.SIGHUP)
        (child,) = spawner.spawn(1, true_path())
        running.output.wait_for(rf"^\S+ exit +{child} ")
        recording = running.stop(signal.SIGTERM)
    assert (recording.about()["clean_end"], recording.about()["end_reason"]) == (True, "SIGTERM")


def test_duration_ends_a_recording(tmp_path: Path) -> None:
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", "--duration", 1.5) as running:
        children = spawner.spawn(7, true_path())
        assert running.await_end() == 0
    recording = Recording(running.path)
    about = recording.about()
    assert (about["clean_end"], about["end_reason"]) == (True, "duration")
    assert about["end_ns"] - about["start_ns"] >= 1_500_000_000
    assert [row["pid"] for row in recording.rows("exit", ppid=spawner.pid)] == children


def test_the_commands_status_is_returned(tmp_path: Path) -> None:
    not_executable = tmp_path / "text"
    not_executable.write_text("text")
    commands = {
        "ends with 0": (["/bin/sh", "-c", "exit 0"], 0),
        "ends with 3": (["/bin/sh", "-c", "exit 3"], 3),
        "is killed": (["/bin/sh", "-c", "kill -KILL $$"], 128 + 9),
        "is not there": (["bpftape-no-such-command"], 127),
        "is no program": ([str(not_executable)], 126),
    }
    with ExitStack() as stack:
        runs = {
            name: stack.enter_context(launched(tmp_path / f"{number}.bpftape", command=command))
            for number, (name, (command, _)) in enumerate(commands.items())
        }
        assert {name: running.await_end() for name, running in runs.items()} == {name: status for name, (_, status) in commands.items()}
    for name in ("ends with 0", "ends with 3", "is killed"):
        about = Recording(runs[name].path).about()
        assert (about["clean_end"], about["end_reason"]) == (True, "command")
    assert runs["is not there"].said().splitlines()[-2:] == [
        "error: bpftape-no-such-command: No such file or directory",
        "hint: give a command that can be executed after --",
    ]
    assert not runs["is not there"].path.exists(), "nothing was recorded"
    assert not runs["is no program"].path.exists()
    assert "Traceback" not in "".join(running.said() for running in runs.values())


def test_the_command_itself_is_recorded_from_its_exec_to_its_end(tmp_path: Path) -> None:
    with recorder(tmp_path / "r.bpftape", command=["/bin/sh", "-c", "echo $$; exit 5"]) as running:
        assert running.await_end() == 5
    recording = Recording(running.path)
    pid = int(running.output.everything())
    (started,) = recording.rows("exec", pid=pid)
    (ended,) = recording.rows("exit", pid=pid)
    assert started["argv"] == ["/bin/sh", "-c", "echo $$; exit 5"]
    assert started["ppid"] == running.pid
    assert (ended["exit_code"], ended["start_ns"]) == (5, started["start_ns"])


@pytest.mark.parametrize("number", ENDING, ids=lambda number: signal.Signals(number).name)
def test_a_signal_is_handed_on_to_the_command_whose_end_is_the_recordings(tmp_path: Path, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    command = ["/bin/sh", "-c", f'trap "echo caught {name}; exit 9" {name}; echo ready; while :; do read _ || sleep 0.05; done']
    with recorder(tmp_path / "r.bpftape", command=command) as running:
        running.output.wait_for("^ready$")
        running.process.send_signal(number)
        assert running.await_end() == 9
    assert running.output.everything().decode().split() == ["ready", "caught", name]
    assert Recording(running.path).about()["end_reason"] == "command"


def test_a_second_signal_ends_the_recording_of_a_command_that_does_not_end(tmp_path: Path) -> None:
    read, write = os.pipe()
    command = ["/bin/sh", "-c", 'trap "echo caught" INT; echo ready; while ! read _; do :; done; exit 4']
    with recorder(tmp_path / "r.bpftape", command=command, stdin=read) as running:
        os.close(read)
        running.output.wait_for("^ready$")
        running.process.send_signal(signal.SIGINT)
        running.output.wait_for("^caught$")
        running.process.send_signal(signal.SIGINT)
        running.errors.wait_for("^recorded .* ended by SIGINT$")
        assert running.process.poll() is None, "record waits for the command, whose status it returns"
        os.write(write, b"go\n")
        os.close(write)
        assert running.await_end() == 4
    assert Recording(running.path).about()["clean_end"] is True


def test_ctrl_c_before_the_probes_are_attached_ends_the_recording_when_they_are(tmp_path: Path) -> None:
    with launched(tmp_path / "r.bpftape") as running:
        eventually("the folder was made", running.path.exists)
        recording = running.stop(signal.SIGINT)
    assert (recording.about()["clean_end"], recording.about()["end_reason"]) == (True, "SIGINT")


def test_a_closed_standard_error_ends_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [RECORD, "--output", str(tmp_path / "r.bpftape"), "--duration", "1"],
        stderr=write,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    os.close(write)
    assert done.returncode == 0
    assert Recording(tmp_path / "r.bpftape").about()["clean_end"] is True
