"""Where the files of a recording are, and how they are opened without being led out of it."""

from __future__ import annotations

import fcntl
import io
import os
import stat
from pathlib import Path
from typing import Protocol

from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import damaged
from analyzer.merged import folder
from recorder.schema import MANIFEST, SUFFIX

PACK_SUFFIX = f"{SUFFIX}.zip"
"""Ending of a packed recording's name."""

PACK_SCHEME = "bpftape"
"""What DuckDB's paths of files in packed recordings begin with: ``bpftape://RECORDING_ID/TABLE/FILE``."""


class Store(Protocol):
    """The files of one recording. ``path`` is absolute, ``shown`` what the user called it."""

    path: Path
    shown: Path

    def manifest(self) -> bytes:
        """Return the manifest's text; raise AnalyzerError: 65 where this is no recording, 77 where it may not be read."""

    def open(self, name: str) -> io.RawIOBase:
        """Open one of its files for reading; raise AnalyzerError where it is missing, or not a regular file."""

    def size(self, name: str) -> int:
        """Return the size of one of its files in bytes; raise as :meth:`open` does."""

    def names(self) -> list[str]:
        """Return the paths of the files that lie where segments do, finished or not, whatever the manifest says."""

    def part(self, number: int) -> Store:
        """Return the files of the part of that number, where this is a merged recording; whether it is there, reading its manifest will say."""


class FolderStore:
    """A recording as the recorder left it: a folder. ``whole`` is the merged recording that it is a part of."""

    def __init__(self, shown: Path, whole: FolderStore | None = None) -> None:
        self.shown = shown
        self.path = Path(os.path.abspath(shown))  # noqa: PTH100 - Path.absolute() would keep "..", which DuckDB resolves in another way
        self._whole = whole

    def part(self, number: int) -> FolderStore:
        """Return the files of a part."""
        return FolderStore(self.shown / folder(number), self)

    def manifest(self) -> bytes:
        """Return the manifest's text."""
        if self._whole:
            self._whole.check_inside(self.path)
        manifest = self.path / MANIFEST
        try:
            if not stat.S_ISREG(manifest.lstat().st_mode):  # a pipe would keep us waiting for ever
                raise AnalyzerError(f"{self.shown} is not a recording: its {MANIFEST} is not a regular file.", code=Exit.RECORDING)
            return manifest.read_bytes()
        except PermissionError:
            raise self._forbidden() from None
        except FileNotFoundError:
            if not self.path.exists():
                raise missing(self.shown) from None
            raise AnalyzerError(
                f"{self.shown} is not a recording: it has no {MANIFEST}.", f"Name the *{SUFFIX} folder itself.", Exit.RECORDING
            ) from None
        except OSError as error:
            raise AnalyzerError(
                f"{self.shown} is not a recording: {error.strerror}.", f"A recording is a *{SUFFIX} folder.", Exit.RECORDING
            ) from None

    def open(self, name: str) -> io.RawIOBase:
        """Open a file through its table's open folder: neither may be a symbolic link."""
        table, _, file = name.partition("/")
        self.size(name)  # has the better words for what is wrong
        flags = os.O_RDONLY | os.O_NOFOLLOW
        try:
            folder = os.open(self.path / table, flags | os.O_DIRECTORY)
            try:
                return io.FileIO(os.open(file, flags | os.O_NONBLOCK, dir_fd=folder))
            finally:
                os.close(folder)
        except PermissionError:
            raise self._forbidden() from None
        except OSError as error:
            raise damaged(self.shown, f"{name} cannot be opened ({error.strerror})") from None

    def size(self, name: str) -> int:
        """Return the size of a file."""
        table = name.partition("/")[0]
        # Nothing in a stranger's folder may lead out of it: neither a table's folder nor a file may be a symbolic link.
        if not stat.S_ISDIR(self._lstat(table).st_mode):
            raise damaged(self.shown, f"{table} is not a folder")
        found = self._lstat(name)
        if not stat.S_ISREG(found.st_mode):
            raise damaged(self.shown, f"{name} is not a regular file")
        return found.st_size

    def check_inside(self, part: Path) -> None:
        """Raise AnalyzerError where a link, or nothing, is in the place of a part or on the way to it: a stranger's folder leads nowhere else."""
        name = part.relative_to(self.path)
        for place in (name.parent, name):
            if not stat.S_ISDIR(self._lstat(str(place)).st_mode):
                raise damaged(self.shown, f"{place} is not a folder")

    def names(self) -> list[str]:
        """Return the paths of the files that lie where segments do."""
        folders = (entry for entry in os.scandir(self.path) if entry.is_dir(follow_symlinks=False))
        return sorted(f"{folder.name}/{file.name}" for folder in folders for file in os.scandir(folder) if file.is_file(follow_symlinks=False))

    def _lstat(self, name: str) -> os.stat_result:
        try:
            return (self.path / name).lstat()
        except FileNotFoundError:
            raise damaged(self.shown, f"{name} is missing") from None
        except PermissionError:
            raise self._forbidden() from None

    def _forbidden(self) -> AnalyzerError:
        hint = "A recording belongs to the user who made it: ask them for a copy, or to chown it."
        return AnalyzerError(f"{self.shown} may not be read by this user.", hint, Exit.PERMISSION)


def missing(shown: Path) -> AnalyzerError:
    """Return what to tell people where there is nothing."""
    return AnalyzerError(f"There is no recording at {shown}.", f"Recordings here: bpftape ls {shown.parent}", Exit.RECORDING)


def still_written(shown: Path) -> AnalyzerError:
    """Return what to tell people where only a recording that has ended will do."""
    return AnalyzerError(f"{shown} is still being written.", "Wait until its recorder has ended, or end it.", Exit.RECORDING)


def is_file(path: Path) -> bool:
    """Say whether there is a regular file at ``path``, which may then be a packed recording; False where nobody lets us know."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def is_being_written(folder: Path) -> bool:
    """Say whether a recorder is at work on the recording at ``folder``: it holds a lock on the folder, which ends with its process."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # a packed one, or not to be read: no recorder's, or not ours to know
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(fd)
    return False
