"""Make a file or a folder beside its place, which it takes only when it is whole; when something fails, nothing of it is left."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.interrupt import terminated, undisturbed
from analyzer.unfinished import remove, unfinished

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


@contextmanager
def making(path: Path, replaces: bool = False) -> Iterator[Path]:
    """Yield a name beside ``path``, at which a file or folder is to be made that takes the place of ``path`` in the end, durably.

    Raises FileExistsError where something is there by then, unless it ``replaces`` that. What is in a folder, who makes it has to sync. Signals that
    would kill the process unwind it.
    """
    made = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    with terminated():
        unfinished.add(made)
        try:
            yield made
            sync(made)
            _put(made, path, replaces)
            with contextlib.suppress(PermissionError):  # a folder that one may write to, and not read
                sync(path.parent)
        finally:
            with undisturbed():
                remove(made)
                unfinished.discard(made)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``, mode 0700, that takes its place in the end."""
    with making(path) as folder:
        folder.mkdir(0o700)
        yield folder


def _put(made: Path, path: Path, replaces: bool) -> None:
    if replaces:
        made.replace(path)
    elif stat.S_ISREG(made.lstat().st_mode) and _linked(made, path):
        pass
    elif os.path.lexists(path):  # somebody made it meanwhile; an empty folder would be replaced without a word
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    else:
        made.rename(path)


def _linked(made: Path, path: Path) -> bool:
    """Give a file a second name, which unlike a rename takes nothing's place; say whether the file system has such."""
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            return False
        raise
    return True


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def check_new(path: Path) -> None:
    """Raise AnalyzerError (73) where something is at ``path`` already, or nothing can be made there since its folder is none."""
    if os.path.lexists(path):
        raise AnalyzerError(f"{path} exists.", "Name another place with --output: nothing is overwritten.", Exit.OUTPUT)
    if not path.absolute().parent.is_dir():
        raise AnalyzerError(f"{path.absolute().parent} is no folder.", "Make it first, or name another place with --output.", Exit.OUTPUT)


def failed(path: Path | None, error: OSError) -> AnalyzerError:
    """Return what to say when ``path``, None is stdout, could not be written: 74 where the disk is full, else 73."""
    shown = path or "stdout"
    if error.errno in _FULL:
        return AnalyzerError(f"Writing {shown} failed: {error.strerror}.", "Free some space, or name another place with --output.", Exit.IO)
    return AnalyzerError(f"{shown} cannot be made: {error.strerror}.", "Name a place where you may write: --output PATH", Exit.OUTPUT)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says while ``path`` is made into what people are told."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from None
