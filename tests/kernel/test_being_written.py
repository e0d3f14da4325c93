"""Sharing a recording while the kernel still fills it: the copy has what is closed by then, and both say what they are."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.harness import Recording, Spawner, eventually, recorder, true_path
from tests.support import Cli


def test_a_copy_that_was_made_meanwhile_says_so_and_the_recording_goes_on(tmp_path: Path, cli: Cli) -> None:
    path, copy = tmp_path / "r.bpftape", tmp_path / "copy.bpftape"
    with Spawner() as spawner, recorder(path, "--segment-seconds", "1") as running:
        spawner.spawn(23, true_path())
        eventually("23 programs are in closed segments", lambda: len(Recording(path).rows("exec", ppid=spawner.pid)) == 23)
        shared = cli("bpftape", "share", str(path), "--output", str(copy))
        refused = cli("bpftape", "pack", str(path))
        during = cli("bpftape", "info", str(path))
        spawner.spawn(19, true_path())
        pid = spawner.pid
        whole = running.stop()
    assert (shared.returncode, refused.returncode) == (0, 65)
    assert shared.stderr == "note: r.bpftape is still being written: this is what was closed by now\n"
    assert "r.bpftape is still being written" in refused.stderr
    assert "end        none yet: it is still being written\n" in during.stdout
    assert len(Recording(copy).rows("exec", ppid=pid)) == 23
    assert "end        unfinished: it was still being written when this copy was made\n" in cli("bpftape", "info", str(copy)).stdout
    answer = cli("analyze", "--sql", "SELECT count(*) AS n FROM exec", str(copy))
    assert "made while the recording was still being written: names in it are pseudonyms" in answer.stderr
    assert "coverage: unfinished (" in answer.stderr
    assert (len(whole.rows("exec", ppid=pid)), whole.about()["clean_end"]) == (42, True)
