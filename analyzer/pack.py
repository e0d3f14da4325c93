"""A packed recording: one zip file whose members are stored as they are, so that each can be read where it lies."""

from __future__ import annotations

import io
import os
import stat
import zlib
from functools import cached_property
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import SEGMENT_PATH, damaged
from analyzer.merged import folder
from analyzer.pack_contents import Contents, Member, look
from analyzer.store import FolderStore, missing
from recorder.schema import MANIFEST


class Slice(io.RawIOBase):
    """A part of a file, as a file. It owns the descriptor that it is given."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes that were."""
        view = memoryview(buffer).cast("B")
        count = os.preadv(self._fd, [view[: max(0, min(len(view), self._size - self._at))]], self._offset + self._at)
        self._at += count
        return count

    def fileno(self) -> int:
        """Return the descriptor of the whole file."""
        return self._fd

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._fd)
        super().close()


class _Packed:
    """The file, and what is in it."""

    def __init__(self, shown: Path) -> None:
        self.shown = shown
        self.path = FolderStore(shown).path

    @cached_property
    def contents(self) -> Contents:
        """What is in the pack; AnalyzerError (65 or 77) where it is not a recording's."""
        fd, status = self._open()
        with os.fdopen(fd, "rb") as file:
            found = look(self.shown, file, status.st_size)
        self._seen = _identity(status)
        return found

    def open(self, member: Member) -> Slice:
        """Open a file where it lies."""
        fd, status = self._open()
        if _identity(status) != self._seen:
            os.close(fd)
            raise AnalyzerError(f"{self.shown} was changed while it was read.", "Try again.", Exit.RECORDING)
        return Slice(fd, member.offset, member.size)

    def _open(self) -> tuple[int, os.stat_result]:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise missing(self.shown) from None
        except PermissionError:
            raise AnalyzerError(f"{self.shown} may not be read by this user.", "Ask its owner for a copy, or to chown it.", Exit.PERMISSION) from None
        except OSError as error:
            raise AnalyzerError(f"{self.shown} is not a recording: {error.strerror}.", code=Exit.RECORDING) from None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise AnalyzerError(f"{self.shown} is not a recording: it is neither a folder nor a regular file.", code=Exit.RECORDING)
        return fd, status


class PackStore:
    """The files of a packed recording, as :class:`analyzer.store.Store` has them, or of a part of one that is merged."""

    def __init__(self, shown: Path) -> None:
        self._packed = _Packed(shown)
        self._inside = ""
        self.shown, self.path = shown, self._packed.path

    @property
    def folder(self) -> str:
        """Return the name of the folder that it is unpacked to."""
        return self._packed.contents.folder

    def part(self, number: int) -> PackStore:
        """Return the files of a part."""
        found = PackStore(self.shown)
        found._packed, found._inside = self._packed, f"{folder(number)}/"
        return found

    def manifest(self) -> bytes:
        """Return the manifest's text."""
        with self.open(MANIFEST) as file:
            text = file.read()
        if zlib.crc32(text) != self.member(MANIFEST).crc:
            raise damaged(self.shown, f"{self._inside}{MANIFEST} is not what was packed", "Have it packed and sent again.")
        return text

    def open(self, name: str) -> Slice:
        """Open a file where it lies."""
        return self._packed.open(self.member(name))

    def has(self, name: str) -> bool:
        """Say whether there is such a file."""
        return self._inside + name in self._packed.contents.members

    def member(self, name: str) -> Member:
        """Return where a file lies."""
        if not self.has(name):
            raise damaged(self.shown, f"{self._inside}{name} is missing", "Have it packed and sent again.")
        return self._packed.contents.members[self._inside + name]

    def size(self, name: str) -> int:
        """Return the size of a file."""
        return self.member(name).size

    def names(self) -> list[str]:
        """Return the paths of all segments in it."""
        inside = (name.removeprefix(self._inside) for name in self._packed.contents.members if name.startswith(self._inside))
        return sorted(name for name in inside if SEGMENT_PATH.fullmatch(name))


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
