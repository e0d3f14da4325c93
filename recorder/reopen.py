"""The folder of a recording that is there already: more segments of it, and another manifest in the place of the first.

Everything is done relative to open folders and never through a symbolic link, since the folder may belong to somebody else while we are root.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, Exit
from analyzer.store import still_written
from recorder.folder import RESERVE
from recorder.schema import MANIFEST

# Somebody who only looks holds the lock for a moment.
_LOCK_TRIES = 20
_LOCK_PAUSE_S = 0.05
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class ReopenedFolder:
    """A recording's folder, locked against recorders and others who change it. What is entered takes effect with :meth:`replace_manifest`."""

    def __init__(self, path: Path, recording_id: str) -> None:
        """Open and lock the folder; raise AnalyzerError where a recorder is at work on it (65), or it cannot be opened (77, 73)."""
        self.path = path
        self.recording_id = recording_id
        self.entered: list[dict[str, Any]] = []
        self._table_fds: dict[str, int] = {}
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            status = os.fstat(self.fd)
            self._owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
            self._lock()
        except OSError as error:
            raise failed(path, error) from None

    def _lock(self) -> None:
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        os.close(self.fd)
        raise still_written(self.path)

    def table_fd(self, table: str) -> int:
        """Return the open folder of ``table``, made where it is not there."""
        if table not in self._table_fds:
            with suppress(FileExistsError):
                os.mkdir(table, 0o700, dir_fd=self.fd)
                if self._owner:
                    os.chown(table, *self._owner, dir_fd=self.fd, follow_symlinks=False)
            self._table_fds[table] = os.open(table, _FLAGS, dir_fd=self.fd)
        return self._table_fds[table]

    def open_new(self, name: str, directory: int) -> int:
        """Make a file that was not there, mode 0600, in the open folder ``directory``; return its descriptor."""
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        if self._owner:
            os.fchown(fd, *self._owner)
        return fd

    def enter(self, line: Mapping[str, Any]) -> None:
        """Note ``line`` for the next manifest."""
        self.entered.append(dict(line))

    def settle(self, table: str, old: str, new: str) -> None:
        """Give a finished file its name, durably."""
        directory = self.table_fd(table)
        fd = os.open(old, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        if old != new:
            os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)

    def replace_manifest(self, lines: Sequence[bytes], keep: bool) -> str | None:
        """Put a manifest of ``lines`` and what was entered in the old one's place, in one step; with ``keep`` return the old one's new name."""
        text = b"".join(line + b"\n" for line in (*lines, *(json.dumps(line).encode() for line in self.entered)))
        temporary = MANIFEST + ".tmp"
        with suppress(FileNotFoundError):  # of a run that was ended
            os.unlink(temporary, dir_fd=self.fd)
        fd = self.open_new(temporary, self.fd)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(fd)
            kept = self._keep() if keep else None
            os.rename(temporary, MANIFEST, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self.fd)
            raise
        os.fsync(self.fd)
        return kept

    def _keep(self) -> str | None:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(MANIFEST, dir_fd=self.fd, follow_symlinks=False).st_mode):
                return None  # a link or a pipe has no text to keep
        for number in range(1_000):
            name = f"{MANIFEST}.{number}"
            try:
                os.link(MANIFEST, name, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
                return name
            except FileExistsError:
                continue
            except FileNotFoundError:  # there is none to keep
                return None
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))

    def release_reserve(self) -> None:
        """Give back what a recorder that was killed held in reserve: it has nothing in it."""
        with suppress(FileNotFoundError):
            if stat.S_ISREG(os.stat(RESERVE, dir_fd=self.fd, follow_symlinks=False).st_mode):
                os.unlink(RESERVE, dir_fd=self.fd)

    def close(self) -> None:
        """Let go of the folder and its lock."""
        for fd in (*self._table_fds.values(), self.fd):
            os.close(fd)


def failed(path: Path, error: OSError) -> AnalyzerError:
    """Return what to tell people when a recording could not be changed."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return AnalyzerError(f"{path} may not be changed by this user.", "A recording belongs to the user who made it.", Exit.PERMISSION)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AnalyzerError(f"{path}: {error.strerror}.", "Free some space (1 MiB is enough), and try again: nothing was lost.", Exit.IO)
    code = Exit.OUTPUT if error.errno == errno.EROFS else Exit.IO
    return AnalyzerError(f"{path} cannot be changed: {error.strerror}.", "Copy it to where you may write, and recover the copy.", code)
