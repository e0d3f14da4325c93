"""A packed recording: one zip file whose members are stored as they are, so that each can be read where it lies.

It may come from a stranger. Nothing in it is believed: names, kinds, sizes and places are checked before anything is read, and only members that
belong to a recording are there at all.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import SEGMENT_PATH, damaged
from analyzer.store import FolderStore, missing
from recorder.schema import MANIFEST, SUFFIX

# A member's name begins with that of the folder which it is unpacked to.
_FOLDER = re.compile(r"[^./\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]{0,199}" + re.escape(SUFFIX))
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_END_64_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
# The list of members is read whole: this is enough for half a million segments.
_MOST_DIRECTORY_BYTES = 64 << 20
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file of the recording lies in the pack, in bytes, and its CRC-32."""

    offset: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a pack: the name of the recording's folder, and its files by their paths inside of it."""

    folder: str
    members: Mapping[str, Member]


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


class PackStore:
    """The files of a packed recording, as :class:`analyzer.store.Store` has them."""

    def __init__(self, shown: Path) -> None:
        self.shown = shown
        self.path = FolderStore(shown).path

    @cached_property
    def contents(self) -> Contents:
        """What is in the pack; AnalyzerError (65 or 77) where it is not a recording's."""
        fd, status = self._open()
        with os.fdopen(fd, "rb") as file:
            found = _contents(self.shown, file, status.st_size)
        self._seen = _identity(status)
        return found

    def manifest(self) -> bytes:
        """Return the manifest's text."""
        with self.open(MANIFEST) as file:
            text = file.read()
        if zlib.crc32(text) != self.contents.members[MANIFEST].crc:
            raise damaged(self.shown, f"{MANIFEST} is not what was packed", "Have it packed and sent again.")
        return text

    def open(self, name: str) -> Slice:
        """Open a file where it lies."""
        member = self.member(name)
        fd, status = self._open()
        if _identity(status) != self._seen:
            os.close(fd)
            raise AnalyzerError(f"{self.shown} was changed while it was read.", "Try again.", Exit.RECORDING)
        return Slice(fd, member.offset, member.size)

    def member(self, name: str) -> Member:
        """Return where a file lies."""
        if name not in self.contents.members:
            raise damaged(self.shown, f"{name} is missing", "Have it packed and sent again.")
        return self.contents.members[name]

    def size(self, name: str) -> int:
        """Return the size of a file."""
        return self.member(name).size

    def names(self) -> list[str]:
        """Return the paths of all segments in it."""
        return sorted(self.contents.members.keys() - {MANIFEST})

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


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _refused(shown: Path, what: str, hint: str = "") -> AnalyzerError:
    return AnalyzerError(f"{shown} is not a recording: {what}.", hint or "bpftape pack makes one of a recording's folder.", Exit.RECORDING)


def _contents(shown: Path, file: io.BufferedReader, size: int) -> Contents:
    _check_directory(shown, file, size)
    try:
        with zipfile.ZipFile(file) as packed:
            infos, end = packed.infolist(), packed.start_dir
            places = sorted((_data_offset(shown, file, info), info) for info in infos if not info.is_dir())
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, struct.error, OverflowError, OSError) as error:
        raise _refused(shown, f"it cannot be read as a zip file ({str(error)[:80]})") from None
    except RecursionError:  # pragma: no cover - no zip file nests, but nothing of this size may end in a traceback
        raise _refused(shown, "it is too deep") from None
    folder, members = "", {}
    for number, (offset, info) in enumerate(places):
        name = _check_member(shown, info)
        prefix, _, inside = name.partition("/")
        folder = folder or prefix
        if prefix != folder or not _FOLDER.fullmatch(prefix) or not (inside == MANIFEST or SEGMENT_PATH.fullmatch(inside)):
            raise _refused(shown, f"it has a file {name[:200]!r}, which no recording has")
        if inside in members:
            raise _refused(shown, f"it has {inside} twice")
        # Each file ends before the next one, or the list of all of them, begins: none of them is counted twice.
        limit = places[number + 1][1].header_offset if number + 1 < len(places) else end
        if offset + info.file_size > limit:
            raise _refused(shown, f"{inside} is longer than its place")
        members[inside] = Member(offset, info.file_size, info.CRC)
    for info in infos:
        if info.is_dir() and not (info.filename == f"{folder}/" or SEGMENT_PATH.fullmatch(info.filename.removeprefix(f"{folder}/") + "0.parquet")):
            raise _refused(shown, f"it has a folder {info.filename[:200]!r}, which no recording has")
    if MANIFEST not in members:
        raise _refused(shown, f"it has no {MANIFEST}")
    return Contents(folder, members)


def _check_directory(shown: Path, file: io.BufferedReader, size: int) -> None:
    """Refuse a list of members that is too long to be read: zipfile makes an object of each of its entries."""
    tail_bytes = min(size, 0xFFFF + _END.size)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    place = tail.rfind(b"PK\5\6")
    if place < 0 or len(tail) - place < _END.size:
        raise _refused(shown, "it is no zip file, or its end is missing")
    length = _END.unpack_from(tail, place)[5]
    if length == 0xFFFFFFFF and place >= _END_64_LOCATOR.size:
        _, _, offset, _ = _END_64_LOCATOR.unpack_from(tail, place - _END_64_LOCATOR.size)
        file.seek(min(offset, size))
        record = file.read(_END_64.size)
        length = _END_64.unpack(record)[8] if len(record) == _END_64.size else length
    if length > min(size, _MOST_DIRECTORY_BYTES):
        raise _refused(shown, f"its list of files is said to have {length:,} bytes")


def _check_member(shown: Path, info: zipfile.ZipInfo) -> str:
    """Return the name of a member that is a plain stored file; raise AnalyzerError for anything else."""
    name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
    if name != info.orig_filename:
        raise _refused(shown, f"it has a file whose name hides something: {info.orig_filename[:200]!r}")
    if kind not in (0, stat.S_IFREG):
        raise _refused(shown, f"{name[:200]!r} in it is not a regular file")
    if info.flag_bits & _ENCRYPTED:
        raise _refused(shown, "it is encrypted", "Decrypt it first.")
    if info.compress_type != zipfile.ZIP_STORED:
        raise _refused(shown, "its files are compressed", "Unzip it, and have bpftape pack pack the folder: Parquet is compressed already.")
    if info.compress_size != info.file_size:
        raise _refused(shown, f"{name[:200]!r} in it claims two sizes")
    return name


def _data_offset(shown: Path, file: io.BufferedReader, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin, by its own header, which must agree with the list on its name."""
    file.seek(info.header_offset)
    fields = _LOCAL.unpack(file.read(_LOCAL.size))
    signature, name_bytes, extra_bytes = bytes(fields[0]), int(fields[-2]), int(fields[-1])
    name = file.read(name_bytes)
    if signature != b"PK\3\4" or name not in (info.orig_filename.encode(), info.orig_filename.encode("cp437", "replace")):
        raise _refused(shown, f"{info.filename[:200]!r} is not where it is said to be")
    return info.header_offset + _LOCAL.size + name_bytes + extra_bytes
