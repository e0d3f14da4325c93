"""A report that follows a real recorder: its last answer is that of the whole recording, however the recorder ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kernel.harness import PATIENCE_SECONDS, Lines, Recording, Spawner, recorder, true_path
from tests.support import Cli

COUNT = "SELECT count(*) AS n FROM exec WHERE ppid = {pid}"


@contextmanager
def following(cli: Cli, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Lines, Lines]]:
    """Start ``analyze --follow``; give out the process and what it writes, and kill it if it is still there in the end."""
    words = [str(cli.path("analyze")), *arguments, "--follow"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        assert follower.stdout
        assert follower.stderr
        output, errors = Lines(follower.stdout), Lines(follower.stderr)
        try:
            yield follower, output, errors
        finally:
            follower.kill()
            output.join(PATIENCE_SECONDS)
            errors.join(PATIENCE_SECONDS)


def test_the_last_live_answer_is_the_one_afterwards(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "r.bpftape"
    with Spawner() as spawner, recorder(path, "--segment-seconds", "1") as running:
        question = ["--sql", COUNT.format(pid=spawner.pid), str(path), "--format", "csv"]
        with following(cli, *question) as (follower, answers, said):
            answers.wait_for("^n$")
            spawner.spawn(23, true_path())
            answers.wait_for("^23$")  # while it is recorded
            spawner.spawn(19, true_path())
            running.stop()
            assert follower.wait(PATIENCE_SECONDS) == 0
    whole = cli("analyze", *question)
    assert whole.stdout == "n\n42\n"
    assert answers.everything().decode().endswith("\n\n" + whole.stdout)
    assert said.everything().decode().splitlines()[-1] == whole.stderr.rstrip("\n")
    assert Recording(path).about()["clean_end"]


def test_a_recorder_that_is_killed_is_said_at_once(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "r.bpftape"
    with recorder(path, "--segment-seconds", "1") as running, following(cli, "overview", str(path)) as (follower, answers, said):
        answers.wait_for("unfinished")
        running.process.kill()
        assert follower.wait(PATIENCE_SECONDS) == 65
    assert b"was killed: this is what it had written." in said.everything()
