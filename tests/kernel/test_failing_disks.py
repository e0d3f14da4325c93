"""A disk that fails in the midst of a recording ends it with 74. All that was closed is there, durably, and what is missing is counted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, Recording, Spawner, eventually, launched, true_path
from tests.kernel.left import Load, assert_says_what_is_missing, bpftape, entered
from tests.kernel.net import command

SEGMENT = "exec/000001.parquet.tmp"
# What strace(1) makes fail: the calls, which of them on each thread, and the file that they are for.
INJECTED = {
    "what is written to a segment": ("write:error=EIO", SEGMENT),
    "fsync of a segment": ("fsync:error=EIO", SEGMENT),
    "what is written to the manifest": ("write:error=EIO:when=12+", "manifest.jsonl"),
    "fsync from some time on": ("fsync:error=EIO:when=30+", None),
    "the renaming of segments": ("rename,renameat,renameat2:error=EIO:when=10+", None),
}
FAILED = "Input/output error"


def failing(what: str, path: Path | None = None) -> list[str]:
    """Return the words that have the kernel refuse some system calls of the command behind them, which stays our own child."""
    calls = what.partition(":")[0]
    only = ["-P", str(path)] if path else []
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", *only, "-e", f"trace={calls}", "-e", f"inject={what}"]


SHORT = "what is written to the manifest"


@pytest.mark.parametrize("what", [pytest.param(what, marks=() if what == SHORT else pytest.mark.long) for what in INJECTED])
def test_a_call_that_fails_ends_the_recording_and_says_so(tmp_path: Path, what: str) -> None:
    path = tmp_path / "r.bpftape"
    options = ["--segment-seconds", 1, "--tracers", "clone"]
    call, file = INJECTED[what]
    wrapper = failing(call, path / file if file else None)
    with Spawner() as spawner, Load(spawner) as load, launched(path, *options, wrapper=wrapper) as running:
        running.errors.wait_for("^recording ")
        assert running.await_end() == 74, running.said()
        before = entered(path)
    said = running.said()
    assert said.splitlines()[-2:] == [f"error: {path}: {FAILED}", "hint: what was closed before stays readable"]
    assert "Traceback" not in said
    recording = Recording(path)
    if file == SEGMENT:  # the last words could be written
        about = recording.about()
        assert (about["clean_end"], about["end_reason"]) == (False, f"{path}: {FAILED}")
        assert len(recording.table("exec")) + recording.lost("exec") == sum(row["events"] for row in recording.rows("coverage", table="exec"))
        assert recording.lost("exec") > 0
    else:
        assert_says_what_is_missing(path, before, load)


@dataclass(frozen=True)
class Disk:
    """An ext4 of its own, in a mount namespace of its own, which turns read-only at its first error."""

    image: Path
    path: Path
    holder: int

    @property
    def seen_from_here(self) -> Path:
        """The path that shows it from this mount namespace."""
        return Path(f"/proc/{self.holder}/root{self.path}")

    def inside(self, *words: object) -> list[str]:
        """Return the command line that runs another one where it is mounted."""
        return ["nsenter", f"--mount=/proc/{self.holder}/ns/mnt", "--", *map(str, words)]

    def fail(self) -> None:
        """Have the kernel find an error in it, as it would find a broken inode."""
        device = Path(command("findmnt", "--noheadings", "--output", "SOURCE", "--task", self.holder, self.path).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test's error")

    def mount_again(self) -> None:
        """Let go of all that is in memory alone, and see what is on the disk."""
        command(*self.inside("umount", self.path))
        command(*self.inside("mount", "-o", "loop", self.image, self.path))


@contextmanager
def ext4(folder: Path) -> Iterator[Disk]:
    image, path = folder / "image", folder / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    command("mkfs.ext4", "-q", image)
    words = ["unshare", "--mount", "/bin/sh", "-ec", f'mount -o loop,errors=remount-ro "{image}" "{path}"; echo mounted; read _']
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "mounted\n"
        try:
            yield Disk(image, path, holder.pid)
        finally:
            holder.communicate("\n", PATIENCE_SECONDS)


def test_what_was_closed_is_on_a_disk_that_turns_read_only(tmp_path: Path) -> None:
    with ext4(tmp_path) as disk, Spawner() as spawner:
        path = disk.seen_from_here / "r.bpftape"
        options = ["--segment-seconds", 1, "--tracers", "clone"]
        with Load(spawner) as load, launched(disk.path / "r.bpftape", *options, wrapper=disk.inside()) as running:
            running.errors.wait_for("^recording ")
            eventually("rows are in closed segments", lambda: b'"exec/' in entered(path))
            disk.fail()
            assert running.await_end() == 74, running.said()
        said = running.said()
        # Which call is the first to be refused: fsync says EIO, all others EROFS.
        error, hint = said.splitlines()[-2:]
        assert error in (f"error: {disk.path}/r.bpftape: {why}" for why in ("Read-only file system", FAILED))
        assert hint == "hint: what was closed before stays readable"
        assert "Traceback" not in said
        before = entered(path)
        Recording(path).assert_consistent()
        refused = bpftape("recover", disk.path / "r.bpftape", *disk.inside())
        assert (refused.returncode, refused.stdout) == (73, "")
        assert "Read-only file system" in refused.stderr
        disk.mount_again()
        assert entered(path) == before
        assert "unfinished" in assert_says_what_is_missing(path, before, load, disk.path / "r.bpftape", disk.inside())


def slow(seconds: float) -> list[str]:
    """Return the words behind which each fsync takes so long."""
    return failing(f"fsync:delay_enter={seconds * 1e6:.0f}")


@pytest.mark.parametrize(("seconds", "made"), [(0.05, 60), pytest.param(1, 5_000, marks=pytest.mark.long)])
def test_a_slow_disk_costs_what_the_rings_do_not_hold_and_each_of_it_is_counted(tmp_path: Path, seconds: float, made: int) -> None:
    name = tmp_path / f"slow{os.getpid()}"
    name.write_bytes(Path(true_path()).read_bytes())
    name.chmod(0o700)
    options = ["--segment-seconds", 1, "--tracers", "clone", "--ring-mib", 1, "--comm", name.name]
    with Spawner() as spawner, launched(tmp_path / "r.bpftape", *options, wrapper=slow(seconds)) as running:
        running.errors.wait_for("^recording ")
        with Load(spawner, str(name)) as load:
            eventually("so many programs ran", lambda: len(load.pids) >= made)
        recording = running.stop()
    pids = [row["pid"] for row in recording.table("exec")]
    assert len(pids) + recording.lost("exec") == len(load.pids)
    assert set(pids) <= set(load.pids)
    assert (recording.lost("exec") > 0) == (made > 1_000)
    assert recording.about()["clean_end"]
    recording.assert_consistent()
