"""Folders for what is needed only while a process lives.

It holds a lock on each of them, so that the next process finds and removes what a killed one left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

_PREFIX = "bpftape-scratch-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_locks: dict[str, int] = {}


def make() -> str:
    """Make a folder that nobody else can look into, and return its path; raise OSError where there is nowhere to write.

    Whatever this user's processes left that were killed is removed first.
    """
    _sweep(tempfile.gettempdir())
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        lock = os.open(path, _FOLDER)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Path(path).exists():  # else another process took it for a left one, before it was locked
            _locks[path] = lock
            return path
        os.close(lock)


def remove(path: str) -> None:
    """Remove a folder that make() made, with all that is in it."""
    shutil.rmtree(path, ignore_errors=True)
    if (lock := _locks.pop(path, None)) is not None:
        os.close(lock)


def _sweep(folder: str) -> None:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):  # another user's; in use; gone meanwhile
                    _remove_left(entry.path)


def _remove_left(path: str) -> None:
    lock = os.open(path, _FOLDER)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
