"""A disk that fills up ends the recording with 74. What was closed can be read, and what is missing is counted."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kernel.harness import Recording, Spawner, eventually, launched, true_path


@contextmanager
def small_disk(mount_point: Path, size: str) -> Iterator[tuple[int, Path]]:
    """Mount a file system of ``size`` in a mount namespace of its own; give out a process in there, and the path that shows it from here."""
    words = ["unshare", "--mount", "/bin/sh", "-ec", f'mount -t tmpfs -o size={size} none "{mount_point}"; echo mounted; read _']
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "mounted\n"
        try:
            yield holder.pid, Path(f"/proc/{holder.pid}/root{mount_point}")
        finally:
            holder.communicate("\n")


def closed(recording: Recording, table: str) -> int:
    return sum(line["rows"] for line in recording.manifest() if line["table"] == table)


def test_a_disk_that_fills_up_loses_only_what_was_open_and_says_so(tmp_path: Path) -> None:
    name = tmp_path / f"disk{os.getpid()}"
    shutil.copy(true_path(), name)
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "1m") as (holder, seen_from_here), Spawner() as spawner:
        enter = ["nsenter", f"--mount=/proc/{holder}/ns/mnt", "--"]
        with launched(disk / "r.bpftape", "--segment-seconds", 1, "--comm", name.name, wrapper=enter) as running:
            running.errors.wait_for("^recording ")
            recording = Recording(seen_from_here / "r.bpftape")
            first = spawner.spawn(23, str(name))
            eventually("their segments are closed", lambda: (closed(recording, "exec"), closed(recording, "exit")) == (23, 23))
            # Held back, so that all of it is made before any of it can be written.
            running.process.send_signal(signal.SIGSTOP)
            later = [spawner.spawn(1, str(name), secrets.token_hex(2_000))[0] for _ in range(601)]
            running.process.send_signal(signal.SIGCONT)
            assert running.await_end() == 74, running.said()
        recording.assert_consistent()
        for table in ("exec", "exit"):
            rows = [row["pid"] for row in recording.table(table)]
            assert rows[:23] == first
            assert rows == (first + later)[: len(rows)]
            assert len(rows) + recording.lost(table) == 23 + 601
            assert sum(row["events"] for row in recording.rows("coverage", table=table)) <= 23 + 601
        assert recording.lost("exec") > 0
        about = recording.about()
        said = running.said()
        files = {str(path.relative_to(recording.path)) for path in recording.path.rglob("*") if path.is_file()}
        assert files == {"manifest.jsonl", *(line["path"] for line in recording.segments())}
    assert about["clean_end"] is False
    assert "No space left on device" in about["end_reason"]
    assert about["end_ns"] > about["start_ns"]
    assert said.splitlines()[-2:] == [f"error: {disk}/r.bpftape: No space left on device", "hint: what was closed before stays readable"]
    assert "Traceback" not in said
