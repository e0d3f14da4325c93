"""What goes wrong around a recording does not go wrong with it: closed terminals, full devices, commands that do not end, a folder to put back."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Recording, launched, recorder


def test_a_standard_error_that_takes_nothing_keeps_no_recording_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([RECORD, "--duration", "1", "--output", str(path)], stderr=full, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0
    about = Recording(path).about()
    assert (about["clean_end"], about["end_reason"]) == (True, "duration")


def test_closed_standard_streams_take_no_file_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    words = ["/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", RECORD, "--duration", "1", "--print", "--output", str(path)]
    assert subprocess.run(words, timeout=PATIENCE_SECONDS, check=False).returncode == 0
    Recording(path).assert_consistent()


def test_printed_events_that_nobody_takes_keep_no_recording_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    with Path("/dev/full").open("w") as full:
        words = [RECORD, "--print", "--output", str(path), "--", "/bin/true"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert Recording(path).about()["clean_end"]


@pytest.mark.parametrize("words", [["--", "/nonexistent/command"], ["--tracers", "clone"]], ids=["command", "attach"])
def test_a_recording_that_cannot_begin_leaves_the_one_in_its_place(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "r.bpftape"
    with recorder(path) as running:
        first = running.stop()
    about = first.about()
    environment = {**os.environ, "BPFTAPE_BCC": "/nonexistent"} if "--tracers" in words else None
    done = subprocess.run(
        [RECORD, "--force", "--output", str(path), *words], env=environment, capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode in (70, 127), done.stderr
    assert Recording(path).about() == about
    first.assert_consistent()
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.bpftape"]


def test_signals_reach_a_command_that_outlives_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with launched(path, "--duration", 1, command=["/bin/sh", "-c", script]) as running:
        running.output.wait_for("^ready$")
        running.errors.wait_for("^next: ")
        running.process.send_signal(signal.SIGTERM)
        assert running.await_end() == 9
        running.output.wait_for("^caught$")
    assert Recording(path).about()["end_reason"] == "duration"


def test_a_command_that_ignores_signals_is_left_to_itself_at_the_third(tmp_path: Path) -> None:
    script = "trap '' TERM HUP INT; echo ready; while [ -e \"$1\" ]; do sleep 0.05; done"
    gate = tmp_path / "gate"
    gate.touch()
    with launched(tmp_path / "r.bpftape", "--duration", 1, command=["/bin/sh", "-c", script, "sh", str(gate)]) as running:
        running.output.wait_for("^ready$")
        running.errors.wait_for("^next: ")
        # One of each: signals of one kind that come close together are one.
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            running.process.send_signal(number)
        assert running.await_end() == 0
        gate.unlink()
    assert "goes on" in running.said()


def test_the_commands_environment_is_the_recorders_own(tmp_path: Path) -> None:
    words = [RECORD, "--output", str(tmp_path / "r.bpftape"), "--", "/usr/bin/env"]
    environment = {"PATH": "/usr/bin:/bin", "ODD": "23"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert dict(line.split("=", 1) for line in done.stdout.splitlines()) == environment


def test_without_arguments_the_recording_does_not_keep_the_commands_own(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    words = [RECORD, "--no-argv", "--output", str(path), "--", "/bin/echo", "secret-2311"]
    assert subprocess.run(words, capture_output=True, timeout=PATIENCE_SECONDS, check=False).returncode == 0
    recording = Recording(path)
    assert recording.about()["command_line"][-2:] == ["--", "/bin/echo"]
    assert not [name for name in ("clone", "exec", "exit", "process", "recording") if "secret-2311" in str(recording.table(name))]


def test_arguments_that_are_no_utf8_are_recorded_with_replacements(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    words = [os.fsencode(RECORD), b"--output", os.fsencode(path), b"--", b"/bin/true", b"odd\xff"]
    done = subprocess.run(words, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert Recording(path).about()["command_line"][-1] == "odd\ufffd"


def test_process_filters_are_refused_where_process_ids_are_others(tmp_path: Path) -> None:
    words = ["unshare", "--pid", "--fork", "--mount-proc", RECORD, "--output", str(tmp_path / "r.bpftape")]
    done = subprocess.run([*words, "--follow-children", "--", "/bin/true"], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 2
    assert "pid namespace" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "r.bpftape").exists()


def test_in_a_pid_namespace_the_processes_from_before_are_said_to_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "r.bpftape"
    words = ["unshare", "--pid", "--fork", "--mount-proc", RECORD, "--output", str(path), "--", "/bin/true"]
    assert subprocess.run(words, capture_output=True, timeout=PATIENCE_SECONDS, check=False).returncode == 0
    recording = Recording(path)
    iterators = [probe for probe in recording.table("probe") if probe["hook"].startswith("iterator:")]
    assert {probe["tracer"] for probe in iterators} == {"clone", "container", "tcp"}
    for probe in iterators:
        assert probe["status"] == "failed", probe["hook"]
        assert "pid namespace" in probe["reason"], probe["hook"]
    for table in ("process", "tcp_socket", "container"):
        assert not any(row["attached"] for row in recording.rows("coverage", table=table)), table
    assert recording.table("process") == recording.table("tcp_socket") == []
    assert recording.rows("exec", filename="/bin/true")
