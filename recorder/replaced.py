"""A recording that is overwritten: the new one is made beside it, in a hidden folder, and takes its place in one step."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from analyzer.libc import libc

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def beside(path: Path, recording_id: str) -> Path:
    """Return where the recording with this id is made that is to take the place of ``path``, and where that is afterwards, until it is removed."""
    return path.with_name(f".{path.name}.{recording_id}.new")


def exchange(one: Path, other: Path) -> None:
    """Let two folders change their places; a kill leaves each in one of them. Raises OSError.

    Source: renameat2(2). A file system that has no such thing sees two renames, between which a kill leaves nothing at ``other``.
    """
    rename = getattr(libc(), "renameat2", None)  # which not every C library has
    if rename and not rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        return
    error = ctypes.get_errno() if rename else errno.ENOSYS
    if error not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise OSError(error, os.strerror(error))
    spare = one.with_suffix(".old")
    other.rename(spare)
    try:
        one.rename(other)
    except OSError:
        spare.rename(other)
        raise
    spare.rename(one)


def remove_left(path: Path) -> None:
    """Remove what recorders left beside ``path`` that were killed while they overwrote it. Nobody holds the lock of such a folder."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}\.new")
    for left in [entry for entry in path.absolute().parent.iterdir() if name.fullmatch(entry.name)]:
        with suppress(OSError):  # a link, somebody else's, or it is gone by now
            fd = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(fd)
