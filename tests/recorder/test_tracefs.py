"""Whether tracefs is mounted, and mounting it: by folders and a C library that the tests make up."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path
from typing import Any

import pytest

from recorder import mounts, tracefs
from recorder.errors import Exit, RecorderError


class Libc:
    """Stands for the C library: notes what it is asked to mount, and answers with an error where one is set."""

    def __init__(self, error: int = 0) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._error = error

    def mount(self, source: bytes, target: bytes, kind: bytes, flags: ctypes.c_ulong, data: None) -> int:
        self.asked.append((source, target, kind, flags.value, data))
        ctypes.set_errno(self._error)
        return -1 if self._error else 0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a host without any mount, where tracefs would be in an empty folder."""
    folder = tmp_path / "tracing"
    folder.mkdir()
    (tmp_path / "mountinfo").write_text("")
    monkeypatch.setattr(tracefs, "PLACE", folder)
    # The other place, that below debugfs, is one of this machine's own: another one stands for it.
    monkeypatch.setattr(tracefs, "Path", lambda path: tmp_path / Path(path).relative_to("/sys/kernel"))
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    return folder


def libc(monkeypatch: pytest.MonkeyPatch, error: int = 0) -> Libc:
    made = Libc(error)
    monkeypatch.setattr(tracefs, "libc", lambda: made)
    return made


def test_it_is_mounted_once_and_where_perf_does(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = libc(monkeypatch).asked
    assert not tracefs.is_mounted()
    assert tracefs.mount()
    assert asked == [(b"tracefs", bytes(place), b"tracefs", 0, None)]
    (place / "events").mkdir()
    assert tracefs.is_mounted()
    assert not tracefs.mount()
    assert len(asked) == 1


@pytest.mark.parametrize("where", ["tracing", "debug/tracing"])
def test_a_mount_at_either_place_is_enough(place: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = libc(monkeypatch).asked
    (place.parent / "mountinfo").write_text(f"42 23 0:13 / {place.parent / where} rw,relatime - tracefs tracefs rw\n")
    assert tracefs.is_mounted()
    assert not tracefs.mount()
    assert asked == []


def test_a_mount_elsewhere_is_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = libc(monkeypatch).asked
    (place.parent / "mountinfo").write_text("42 23 0:13 / /mnt/tracing rw,relatime - tracefs tracefs rw\n")
    assert tracefs.mount()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "said"), [(errno.EPERM, "Operation not permitted"), (errno.ENODEV, "No such device"), (errno.ENOENT, "No such file")]
)
def test_a_refusal_says_why_and_what_to_type(place: Path, error: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    libc(monkeypatch, error)
    with pytest.raises(RecorderError, match=f"tracefs is not mounted, and cannot be at {place}: {said}") as caught:
        tracefs.mount()
    assert caught.value.code == Exit.BPF
    assert caught.value.hint == f"try: mount -t tracefs tracefs {place}"
