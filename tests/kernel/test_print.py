"""--print shows events while they come, as lines that move no cursor."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, RECORD, Recording, Spawner, recorder, true_path
from tests.support import Cli

HOSTILE = "\x1b[31mred\r\n\x07"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Recording, int, list[int]]:
    """Return standard output, the recording, and the processes of a spawner with a hostile name and hostile arguments."""
    with Spawner(name=HOSTILE) as spawner, recorder(tmp_path_factory.mktemp("print") / "r.bpftape", "--print") as running:
        children = spawner.spawn(7, true_path(), "--title=" + HOSTILE, "two words")
        running.output.wait_for(rf"^\S+ exit +{children[-1]} ")
        assert running.process.poll() is None, "lines come while the recording goes on"
        recording = running.stop()
    return running.output.everything(), recording, spawner.pid, children


def test_every_event_of_a_process_is_a_line(printed: tuple[bytes, Recording, int, list[int]]) -> None:
    output, recording, spawner, children = printed
    header, *lines = output.decode().splitlines()
    assert header.split() == ["TIME", "EVENT", "PID", "PPID", "UID", "COMM", "DETAIL"]
    words = [line.split(None, 5) for line in lines]
    for number, child in enumerate(children):
        made = recording.rows("clone", child_pid=child)[0]
        (clone,) = [line for line in words if line[1] == "clone" and line[2] == str(spawner) and line[5].endswith(f"child {child}")]
        assert clone[0] == made["ts"].strftime("%H:%M:%S.%f"), number
        ends = [line for line in words if line[2] == str(child)]
        assert [line[1] for line in ends] == ["exec", "exit"]
        assert ends[0][3:5] == [str(spawner), str(os.getuid())]
        assert ends[0][5].split(None, 1)[1] == rf"{true_path()} --title=\x1b[31mred\r\n\x07 two words"
        seconds = recording.rows("exit", pid=child)[0]["duration_ns"] / 1e9
        assert ends[1][5].endswith(f"code 0 after {seconds:.3f} s")


def test_no_control_character_of_a_name_or_an_argument_reaches_the_terminal(printed: tuple[bytes, Recording, int, list[int]]) -> None:
    output, recording, spawner, _ = printed
    assert {row["comm"] for row in recording.rows("clone", pid=spawner)} == {HOSTILE}, "the recording has the name as it is"
    assert rb"\x1b[31mred\r\n\x07" in output
    assert {byte for byte in output if byte < 32} == {ord("\n")}


def test_the_recording_has_all_that_was_printed(printed: tuple[bytes, Recording, int, list[int]]) -> None:
    output, recording, _, _ = printed
    lines = output.decode().splitlines()[1:]
    for table in ("clone", "exec", "exit"):
        assert len([line for line in lines if line.split()[1] == table]) == len(recording.table(table))


def test_a_replay_shows_the_same_lines(printed: tuple[bytes, Recording, int, list[int]], cli: Cli) -> None:
    output, recording, _, _ = printed
    done = cli("bpftape", "replay", recording.path, "--speed", "max")
    assert done.returncode == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header == output.decode().splitlines()[0]
    assert sorted(lines) == sorted(output.decode().splitlines()[1:])
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)


def test_a_reader_that_has_seen_enough_ends_only_the_printing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with Spawner() as spawner:
        words = [RECORD, "--print", "--output", str(tmp_path / "r.bpftape")]
        with subprocess.Popen(words, stdout=write, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
            os.close(write)
            assert process.stderr
            line = process.stderr.readline()
            assert line.startswith("recording "), line
            children = spawner.spawn(7, true_path())
            process.terminate()
            said = process.stderr.read()
            assert process.wait(PATIENCE_SECONDS) == 0, said
    assert "Error" not in said
    assert [row["pid"] for row in Recording(tmp_path / "r.bpftape").rows("exit", ppid=spawner.pid)] == children
