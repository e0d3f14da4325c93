"""A recorder that is killed in the midst of it: what was closed is sound, ``recover`` counts what was open, and works on a full disk, too."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.kernel.harness import PATIENCE_SECONDS, Recording, Spawner, eventually, launched, recorder, true_path
from tests.kernel.test_disk_full import small_disk
from tests.support import Cli

BPFTAPE = str(Cli().path("bpftape"))


def bpftape(verb: str, path: Path, *wrapper: str) -> Any:
    """Run a verb of ``bpftape`` that ends well, and return what it says as JSON."""
    done = subprocess.run([*wrapper, BPFTAPE, verb, "--json", str(path)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def events(recording: Recording, table: str) -> int:
    return sum(row["events"] for row in recording.rows("coverage", table=table))


def test_after_a_kill_what_was_open_is_missing_from_when_to_when_and_counts_as_lost(tmp_path: Path) -> None:
    name = tmp_path / f"kill{os.getpid()}"
    shutil.copy(true_path(), name)
    path = tmp_path / "r.bpftape"
    recording, made = Recording(path), []
    with Spawner() as spawner, recorder(path, "--segment-seconds", 1, "--comm", name.name) as running:

        def counted_and_open() -> bool:
            made.extend(spawner.spawn(5, str(name)))
            return len(recording.table("exec")) >= 23 and events(recording, "exec") > len(recording.table("exec"))

        eventually("coverage counts rows whose segment is open", counted_and_open)
        assert bpftape("verify", path)[0]["state"] == "being written"
        refused = subprocess.run([BPFTAPE, "recover", str(path)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert (refused.returncode, refused.stdout) == (65, "")
        assert "is still being written" in refused.stderr
        running.process.send_signal(signal.SIGKILL)
        running.await_end()
    kept, counted = recording.table("exec"), events(recording, "exec")
    recording.assert_consistent()
    (found,) = bpftape("verify", path)
    assert (found["state"], found["damaged"]) == ("unfinished", False)
    done = bpftape("recover", path)
    recording.assert_consistent()
    assert bpftape("recover", path)["changed"] is False

    rows = recording.table("exec")
    assert [row["pid"] for row in rows] == made[: len(rows)]
    assert len(rows) >= len(kept) >= 23
    missing = [item for item in done["missing"] if item["table"] == "exec"]
    assert len(rows) + recording.lost("exec") == max(counted, len(rows)) <= len(made)
    assert sum(item["rows"] for item in missing) == recording.lost("exec")
    for item in missing:
        assert item["from_ns"] >= rows[-1]["ts_ns"]
        assert item["to_ns"] == max(row["ts_ns"] + row["interval_ns"] for row in recording.table("coverage"))

    # And damage on top of it: a segment that lost its end.
    line = next(line for line in recording.segments() if line["table"] == "exec")
    os.truncate(path / line["path"], line["bytes"] - 1)
    assert bpftape("recover", path)["put_out"] == [line["path"]]
    assert len(recording.table("exec")) + recording.lost("exec") == max(counted, len(rows))
    assert [row["pid"] for row in recording.table("exec")] == made[line["rows"] : len(rows)]


def test_a_recording_is_recovered_on_a_disk_that_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "2m") as (holder, seen_from_here):
        enter = ["nsenter", f"--mount=/proc/{holder}/ns/mnt", "--"]
        path = seen_from_here / "r.bpftape"
        with launched(disk / "r.bpftape", "--segment-seconds", 1, wrapper=enter) as running:
            running.errors.wait_for("^recording ")
            recording = Recording(path)
            eventually("a segment is closed", lambda: any(line["table"] == "coverage" for line in recording.manifest()))
            running.process.send_signal(signal.SIGKILL)
            running.await_end()
        text = (path / "manifest.jsonl").read_bytes()
        (path / "manifest.jsonl").write_bytes(text[:-40])  # as a power cut leaves it
        with contextlib.suppress(OSError), (seen_from_here / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4_096)):
                pass
        assert os.statvfs(seen_from_here).f_bavail == 0
        done = bpftape("recover", disk / "r.bpftape", *enter)
        assert json.loads(text.splitlines()[-1])["path"] in done["taken_in"]
        recording.assert_consistent()
        assert bpftape("verify", disk / "r.bpftape", *enter)[0]["damaged"] is False
