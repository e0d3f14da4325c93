"""The folder of a recording: made safely, filled with whole segments only, entered in its manifest.

Files are made relative to open folders and never through a symbolic link, since the parent may belong to somebody else while the
recorder is root. Only the folder itself is made, put into its place and removed by its path. All of it belongs to the user behind sudo.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from analyzer import landlock
from recorder import replaced
from recorder.errors import Exit, RecorderError
from recorder.schema import FORMAT, MANIFEST, TABLES, Table, arrow_schema
from recorder.segment import RECORDER, Segment

RESERVE = ".reserve"
# What the last small tables need on a full disk: given back first, then used for the words about the end.
RESERVE_BYTES = 256 * 1024


def _owner() -> tuple[int, int] | None:
    """Return the user and group behind sudo, or None when there is none."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    return (int(user), int(group)) if os.geteuid() == 0 and user.isdecimal() and group.isdecimal() else None


def write_error(path: str | Path, error: OSError) -> RecorderError:
    """Return what to tell people when ``path`` could not be made or written: exit 74 for a full disk, else 73."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space, or record elsewhere with --output DIR" if full else "choose another place with --output DIR"
    return RecorderError(f"{path}: {error.strerror}", hint, Exit.IO if full else Exit.OUTPUT)


class RecordingFolder:
    """A new recording's folder."""

    def __init__(self, path: Path, force: bool = False) -> None:
        """Make the folder and begin its manifest. Raise RecorderError (exit 73, or 74 for a full disk) where that cannot be done."""
        self.path = path
        self.recording_id = uuid.uuid4().hex
        self.bytes = 0
        self.rows: Counter[str] = Counter()
        """Rows in closed segments, by table."""
        self._numbers: dict[str, int] = {}
        self._table_fds: dict[str, int] = {}
        self._owner = _owner()
        self._latest: dict[str, str] = {}
        self._made = path
        """Where the folder is until :meth:`keep`: beside the recording that it takes the place of, if there is one."""
        self._fd = self._manifest = -1
        try:
            self._make(force)
        except OSError as error:
            raise write_error(path, error) from error
        try:
            self._fill()
        except OSError as error:
            self.close()
            self.discard()
            raise write_error(path, error) from error

    def _fill(self) -> None:
        """Make the files that every recording has, durably."""
        self._fd = os.open(self._made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        with suppress(OSError):  # a file system without locks; else readers can tell a recording that grows from one whose recorder was killed
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._hand_over(self._fd)
        reserve = self.open_new(RESERVE, self._fd)
        try:
            os.posix_fallocate(reserve, 0, RESERVE_BYTES)
        finally:
            os.close(reserve)
        self._manifest = self.open_new(MANIFEST, self._fd)
        self.enter({"bpftape_format": FORMAT, "recording_id": self.recording_id, "recorder": RECORDER})
        os.fsync(self._fd)

    def _make(self, force: bool) -> None:
        try:
            self.path.mkdir(0o700)
            return
        except FileNotFoundError as error:
            raise RecorderError(f"{self.path.parent}: no such folder", "make it first, or choose another --output", Exit.OUTPUT) from error
        except FileExistsError:
            mode = os.lstat(self.path).st_mode
        if stat.S_ISLNK(mode):
            raise RecorderError(f"{self.path} is a symbolic link", "name the folder itself: a recording is never written through a link", Exit.OUTPUT)
        if not stat.S_ISDIR(mode):
            raise RecorderError(f"{self.path} exists and is not a folder", "choose another --output", Exit.OUTPUT)
        if not force:
            raise RecorderError(f"{self.path} exists", "choose another --output, or overwrite the recording with --force", Exit.OUTPUT)
        contents = {entry.name for entry in self.path.iterdir()}
        if contents and MANIFEST not in contents:
            raise RecorderError(f"{self.path} is not a recording", "--force overwrites recordings only; choose another --output", Exit.OUTPUT)
        foreign = contents - set(TABLES) - {MANIFEST, RESERVE}
        if foreign:
            message = f"{self.path} holds what no recorder wrote: {min(foreign)}"
            raise RecorderError(message, "move it away first, or choose another --output", Exit.OUTPUT)
        replaced.remove_left(self.path)
        # Until the new recording runs, the old one is the only one: it stays where it is, so that not even a kill can hide it.
        self._made = replaced.beside(self.path, self.recording_id)
        self._made.mkdir(0o700)

    def needs(self) -> frozenset[str]:
        """Return the capabilities that writing and removing take: where the folder, or what is around it, is another user's."""
        around = self.path.absolute().parent.stat().st_uid
        return frozenset({"CAP_CHOWN", "CAP_DAC_OVERRIDE"} if self._owner or around != os.geteuid() else ())

    def places(self) -> list[landlock.Rule]:
        """Return where is written until the end. Around it a folder is put into its place, or removed when nothing comes of the recording."""
        around = (self.path.absolute().parent, landlock.MAKE_DIR | landlock.REMOVE_DIR)
        return [around, *((path, landlock.WRITE) for path in {self.path, self._made})]

    def _hand_over(self, fd: int) -> None:
        if self._owner:
            os.fchown(fd, *self._owner)

    def open_new(self, name: str, directory: int) -> int:
        """Make a file that was not there, mode 0600, in the open folder ``directory``; return its descriptor."""
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        self._hand_over(fd)
        return fd

    def table_fd(self, table: str) -> int:
        """Return the open folder of ``table``, made when it is first asked for."""
        if table not in self._table_fds:
            os.mkdir(table, 0o700, dir_fd=self._fd)
            self._table_fds[table] = os.open(table, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._fd)
            self._hand_over(self._table_fds[table])
        return self._table_fds[table]

    def enter(self, line: Mapping[str, Any]) -> None:
        """Add ``line`` to the manifest, durably."""
        text = json.dumps(line).encode() + b"\n"
        before = os.lseek(self._manifest, 0, os.SEEK_CUR)
        try:
            if os.write(self._manifest, text) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._manifest)
        except OSError:  # no half line may stay, and no line for a segment that is then counted as lost
            with suppress(OSError):
                os.ftruncate(self._manifest, before)
                os.lseek(self._manifest, before, os.SEEK_SET)
            raise
        self.bytes += line.get("bytes", 0)
        if "table" in line:
            self.rows[line["table"]] += line["rows"]

    def segment(self, table: Table) -> Segment:
        """Open the next segment of ``table``."""
        number = self._numbers.get(table.name, 0)
        self._numbers[table.name] = number + 1
        return Segment(self, table, number)

    def write_rows(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``rows`` as one closed segment. For a table that is rewritten they take the place of all before."""
        segment = self.segment(table)
        try:
            times = [row[table.time] for row in rows] if table.time else []
            segment.write(pa.Table.from_pylist(list(rows), schema=arrow_schema(table)), (min(times), max(times)) if times else None)
            old = self._latest.get(table.name)
            segment.finish()
            segment.seal(replaces=[old] if old else ())
        except BaseException:
            segment.abandon()
            raise
        if table.rewritten:
            self._latest[table.name] = segment.path

    def release_reserve(self) -> None:
        """Give the reserved space back to the file system."""
        with suppress(OSError):  # it was given back already, or the file system takes no change any more
            os.unlink(RESERVE, dir_fd=self._fd)

    def close(self) -> None:
        """Let go of the folder."""
        self.release_reserve()
        for fd in (self._manifest, *self._table_fds.values(), self._fd):
            with suppress(OSError):
                os.close(fd)

    def keep(self) -> None:
        """Put this recording into the place of the one that it replaces, and remove that: from now on there is something to put there.

        Raise RecorderError (exit 73) where that cannot be done.
        """
        if self._made != self.path:
            try:
                replaced.exchange(self._made, self.path)
            except OSError as error:
                raise write_error(self.path, error) from error
            old, self._made = self._made, self.path
            shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove this recording."""
        shutil.rmtree(self._made, ignore_errors=True)
