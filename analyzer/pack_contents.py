"""What is in a packed recording: the list of the members of a zip file, held against what a recording has.

It may come from a stranger. Nothing in it is believed: names, kinds, sizes and places are checked before anything is read, and only members that
belong to a recording are there at all.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import SEGMENT_PATH
from analyzer.merged import FOLDER, PARTS
from recorder.schema import MANIFEST, SUFFIX

# A member's name begins with that of the folder which it is unpacked to.
_FOLDER = re.compile(r"[^./\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]{0,199}" + re.escape(SUFFIX))
# And goes on with one of these: a recording's files, or those of the parts of a merged one.
_FILE = re.compile(rf"(?:{FOLDER.pattern}/)?(?:{re.escape(MANIFEST)}|{SEGMENT_PATH.pattern})")
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


def look(shown: Path, file: io.BufferedReader, size: int) -> Contents:
    """Return what is in the pack ``file`` of ``size`` bytes; raise AnalyzerError (65), which calls it ``shown``, where that is not a recording's."""
    _check_directory(shown, file, size)
    try:
        with zipfile.ZipFile(file) as packed:
            infos, end = packed.infolist(), packed.start_dir
            plain = [info for info in infos if not _is_named_folder(info)]
            places = sorted(((_data_offset(shown, file, info), info) for info in plain), key=itemgetter(0))
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, struct.error, OverflowError, OSError) as error:
        raise _refused(shown, f"it cannot be read as a zip file ({str(error)[:80]})") from None
    except RecursionError:  # pragma: no cover - no zip file nests, but nothing of this size may end in a traceback
        raise _refused(shown, "it is too deep") from None
    top, members = "", {}
    for number, (offset, info) in enumerate(places):
        name = _check_member(shown, info)
        prefix, _, inside = name.partition("/")
        top = top or prefix
        if prefix != top or not _FOLDER.fullmatch(prefix) or not _FILE.fullmatch(inside):
            raise _refused(shown, f"it has a file {name[:200]!r}, which no recording has")
        if inside in members:
            raise _refused(shown, f"it has {inside} twice")
        # Each file ends before the next one, or the list of all of them, begins: none of them is counted twice.
        limit = places[number + 1][1].header_offset if number + 1 < len(places) else end
        if offset + info.file_size > limit:
            raise _refused(shown, f"{inside} is longer than its place")
        members[inside] = Member(offset, info.file_size, info.CRC)
    for info in infos:
        if _is_named_folder(info) and not (info.filename.startswith(f"{top}/") and _is_folder(info.filename.removeprefix(f"{top}/"))):
            raise _refused(shown, f"it has a folder {info.filename[:200]!r}, which no recording has")
    if MANIFEST not in members:
        raise _refused(shown, f"it has no {MANIFEST}")
    return Contents(top, members)


def _is_named_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith("/")  # is_dir() cannot take a name without a character


def _is_folder(inside: str) -> bool:
    """Say whether a recording has such a folder, by what would be in it; a name ends in a slash, and that of the whole is empty."""
    return inside == f"{PARTS}/" or any(_FILE.fullmatch(inside + name) for name in (MANIFEST, "0.parquet"))


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


def _refused(shown: Path, what: str, hint: str = "") -> AnalyzerError:
    return AnalyzerError(f"{shown} is not a recording: {what}.", hint or "Have it packed and sent again: bpftape pack RECORDING", Exit.RECORDING)
