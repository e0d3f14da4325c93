"""On a terminal there is a status line, and Ctrl-C ends the recording; nowhere else is anything shown that moves."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorder.tracers import all_tracers
from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Lines, Recording, Spawner, eventually, recorder, true_path


@contextmanager
def on_terminal(path: Path, *options: str, command: tuple[str, ...] = ()) -> Iterator[tuple[subprocess.Popen[bytes], Lines, int]]:
    """Run ``record`` on a terminal of its own; give out the process, what the terminal shows, and where to type."""
    keyboard, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 120))
    words = ["setsid", "--ctty", RECORD, "--output", str(path), *options, *(["--", *command] if command else [])]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(words, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    with process, os.fdopen(keyboard, "rb", buffering=0) as screen:
        lines = Lines(screen)
        try:
            yield process, lines, keyboard
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            lines.join(PATIENCE_SECONDS)


def test_the_status_line_shows_what_comes_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with Spawner() as spawner, on_terminal(tmp_path / "r.bpftape") as (process, screen, keyboard):
        screen.wait_for("^recording ")
        children = spawner.spawn(23, true_path())
        shown = screen.wait_for(r"\d s · [\d,]+ events/s · lost 0 · .*exec \d+")
        assert "exit" in shown
        os.write(keyboard, b"\x03")
        assert process.wait(PATIENCE_SECONDS) == 0
    recording = Recording(tmp_path / "r.bpftape")
    assert (recording.about()["end_reason"], recording.about()["clean_end"]) == ("SIGINT", True)
    assert [row["pid"] for row in recording.rows("exit", ppid=spawner.pid)] == children


def test_the_status_line_counts_against_the_duration_and_is_gone_in_the_end(tmp_path: Path) -> None:
    with on_terminal(tmp_path / "r.bpftape", "--duration", "2") as (process, screen, _):
        screen.wait_for(r"[01]/2 s · ")
        assert process.wait(PATIENCE_SECONDS) == 0
    text = screen.everything().decode()
    after = text[text.index("recorded ") :]
    assert "events/s" not in after
    erased = text[: text.index("recorded ")].rindex("\x1b[2K")
    assert "events/s" not in text[erased:], "the line is erased before the summary"


def test_no_status_line_without_a_terminal(tmp_path: Path) -> None:
    with recorder(tmp_path / "r.bpftape", "--duration", 1.5) as running:
        assert running.await_end() == 0
    said = running.said()
    assert "events/s" not in said
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", said)
    tables = sum(len(tracer.tables(True)) for tracer in all_tracers().values())
    assert len(said.splitlines()) <= tables + 6
    assert running.output.everything() == b""


def test_no_status_line_among_printed_events(tmp_path: Path) -> None:
    with Spawner() as spawner, on_terminal(tmp_path / "r.bpftape", "--print", "--duration", "2") as (process, screen, _):
        screen.wait_for("^recording ")
        (child,) = spawner.spawn(1, true_path())
        screen.wait_for(rf" exit +{child} ")
        assert process.wait(PATIENCE_SECONDS) == 0
    assert b"events/s" not in screen.everything()


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    # A second signal would be handed on at once, or with the next look at the command half a second later.
    counting = 'trap "n=\\$((n+1))" INT; n=0; echo ready; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.7; echo "interrupted $n"; exit 6'
    with on_terminal(tmp_path / "r.bpftape", command=("/bin/sh", "-c", counting)) as (process, screen, keyboard):
        screen.wait_for("ready\r")
        os.write(keyboard, b"\x03")
        assert process.wait(PATIENCE_SECONDS) == 6
    assert re.findall(rb"interrupted (\d+)", screen.everything()) == [b"1"]


@pytest.mark.parametrize("moment", ["probes are compiled", "the command waits for its start"])
def test_ctrl_c_before_the_command_started_keeps_it_from_starting(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "r.bpftape"
    with on_terminal(path, command=("/bin/sh", "-c", "echo begun; exit 6")) as (process, screen, keyboard):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        eventually(moment, path.exists if moment == "probes are compiled" else children.read_text)
        os.write(keyboard, b"\x03")
        assert process.wait(PATIENCE_SECONDS) == 128 + 2
    assert b"begun" not in screen.everything()
    assert (Recording(path).about()["clean_end"], Recording(path).about()["end_reason"]) == (True, "command")
