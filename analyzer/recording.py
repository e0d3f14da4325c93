"""Open recordings: read the manifest, and check cheaply that it tells the truth about the folder."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, Exit
from recorder.schema import FORMAT, MANIFEST, SUFFIX, TABLES

# Paths and ids in a manifest are a stranger's: these two patterns are all that is accepted of them.
_SEGMENT_PATH = re.compile(r"([a-z][a-z0-9_]{0,62})/[0-9]{1,12}\.parquet")
_RECORDING_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME_TIME = re.compile(r"_(\d{8}T\d{6}Z)" + re.escape(SUFFIX) + r"\Z")


@dataclass(frozen=True, slots=True)
class Segment:
    """One closed Parquet file of a table, as the manifest has it."""

    table: str
    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Recording:
    """An opened recording. ``torn`` says that the manifest's last line was cut off; that line is not used."""

    path: Path
    id: str
    recorder: str
    format: int
    tables: dict[str, list[Segment]]
    torn: bool

    @property
    def name(self) -> str:
        """Return the folder's name."""
        return self.path.name


def open_recording(path: Path) -> Recording:
    """Read the manifest of the recording at ``path`` and hold each file that it lists against it (there, regular, of that size).

    Raises AnalyzerError with exit code 65 for what is missing, empty, foreign, damaged or too new, and 77 for what may not be read.
    """
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute() would keep "..", which DuckDB resolves in another way
    text = _read_manifest(path, folder)
    lines = text.split(b"\n")
    torn = bool(lines.pop())
    if not lines:
        raise AnalyzerError(f"{path} is an empty recording: its {MANIFEST} has no line.", "Record again.", Exit.RECORDING)
    header = _header(path, lines[0])
    segments = _segments(path, folder, lines[1:])
    if not segments:
        raise AnalyzerError(
            f"{path} is an empty recording: it was ended before its first segment was closed.", "Record again, for longer.", Exit.RECORDING
        )
    tables: dict[str, list[Segment]] = {}
    for segment in segments:
        tables.setdefault(segment.table, []).append(segment)
    _check_files(path, folder, tables)
    return Recording(folder, header["recording_id"], str(header.get("recorder", "unknown")), header["bpftape_format"], tables, torn)


def open_recordings(paths: list[Path]) -> list[Recording]:
    """Open all recordings at ``paths``; raise AnalyzerError also when one of them is given twice, since its rows would count twice."""
    recordings = [open_recording(path) for path in paths]
    seen: dict[str, Path] = {}
    for path, recording in zip(paths, recordings, strict=True):
        if recording.id in seen:
            raise AnalyzerError(f"{seen[recording.id]} and {path} are the same recording ({recording.id}).", "Name each recording once.")
        seen[recording.id] = path
    return recordings


def newest_recording(folder: Path) -> Path:
    """Return the newest recording in ``folder``: by the time in its name, else by when its manifest was last written."""
    found = [path for path in folder.glob("*" + SUFFIX) if (path / MANIFEST).is_file()]
    if not found:
        raise AnalyzerError(
            f"There is no recording (*{SUFFIX}) in {folder.absolute()}.",
            "Name one: analyze REPORT RECORDING, or make one: sudo record --duration 10",
            Exit.RECORDING,
        )
    return max(found, key=lambda path: (_made(path), path.name))


def _made(path: Path) -> float:
    from datetime import UTC, datetime

    if match := _NAME_TIME.search(path.name):
        try:
            return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:  # digits that are no date
            pass
    return (path / MANIFEST).stat().st_mtime


def _read_manifest(path: Path, folder: Path) -> bytes:
    manifest = folder / MANIFEST
    try:
        if not stat.S_ISREG(manifest.lstat().st_mode):  # a pipe would keep us waiting for ever
            raise AnalyzerError(f"{path} is not a recording: its {MANIFEST} is not a regular file.", code=Exit.RECORDING)
        return manifest.read_bytes()
    except PermissionError:
        raise _forbidden(path) from None
    except FileNotFoundError:
        if not folder.exists():
            raise AnalyzerError(f"There is no recording at {path}.", f"Recordings are folders: ls -d *{SUFFIX}", Exit.RECORDING) from None
        raise AnalyzerError(f"{path} is not a recording: it has no {MANIFEST}.", f"Name the *{SUFFIX} folder itself.", Exit.RECORDING) from None
    except OSError as error:
        raise AnalyzerError(f"{path} is not a recording: {error.strerror}.", f"A recording is a *{SUFFIX} folder.", Exit.RECORDING) from None


def _forbidden(path: Path) -> AnalyzerError:
    hint = "A recording belongs to the user who made it: ask them for a copy, or to chown it."
    return AnalyzerError(f"{path} may not be read by this user.", hint, Exit.PERMISSION)


def _damaged(path: Path, what: str, hint: str = "Copy it again from where it was made.") -> AnalyzerError:
    return AnalyzerError(f"{path} is damaged: {what}.", hint, Exit.RECORDING)


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _header(path: Path, line: bytes) -> dict[str, Any]:
    header = _json_object(line)
    version = header.get("bpftape_format") if header else None
    if header is None or not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise AnalyzerError(f"{path} is not a recording: the first line of its {MANIFEST} is not bpftape's.", code=Exit.RECORDING)
    if version > FORMAT:
        raise AnalyzerError(
            f"{path} has recording format {version}; this analyzer reads format 1 to {FORMAT}.",
            "Install a newer bpftape to read it.",
            Exit.RECORDING,
        )
    recording_id = header.get("recording_id")
    if not isinstance(recording_id, str) or not _RECORDING_ID.fullmatch(recording_id):
        raise _damaged(path, f"its {MANIFEST} has no usable recording_id")
    return header


def _segments(path: Path, folder: Path, lines: list[bytes]) -> tuple[Segment, ...]:
    segments: dict[str, Segment] = {}
    for number, line in enumerate(lines, start=2):
        entry = _json_object(line)
        name = entry.get("path") if entry else None
        match = _SEGMENT_PATH.fullmatch(name) if isinstance(name, str) else None
        if entry is None or name is None or match is None or entry.get("table") != match[1]:
            raise _damaged(path, f"line {number} of its {MANIFEST} does not name a segment")
        rows, size, replaces = entry.get("rows"), entry.get("bytes"), entry.get("replaces", [])
        if not isinstance(rows, int) or not isinstance(size, int) or not isinstance(replaces, list) or name in segments:
            raise _damaged(path, f"line {number} of its {MANIFEST} is not a segment's")
        for replaced in replaces:
            segments.pop(str(replaced), None)
        segments[name] = Segment(match[1], folder / name, rows, size)
    return tuple(segments.values())


def _check_files(path: Path, folder: Path, tables: dict[str, list[Segment]]) -> None:
    # Nothing in a stranger's folder may lead out of it: neither a table's folder nor a file may be a symbolic link.
    for table, segments in tables.items():
        if not stat.S_ISDIR(_lstat(path, folder / table, table).st_mode):
            raise _damaged(path, f"{table} is not a folder")
        for segment in segments:
            name = f"{table}/{segment.path.name}"
            found = _lstat(path, segment.path, name)
            if not stat.S_ISREG(found.st_mode):
                raise _damaged(path, f"{name} is not a regular file")
            if found.st_size != segment.bytes:
                raise _damaged(path, f"{name} has {found.st_size:,} bytes where {segment.bytes:,} were written")


def _lstat(path: Path, member: Path, name: str) -> os.stat_result:
    try:
        return member.lstat()
    except FileNotFoundError:
        raise _damaged(path, f"{name} is missing") from None
    except PermissionError:
        raise _forbidden(path) from None


def known_tables(recordings: Sequence[Recording]) -> set[str]:
    """Return the tables that a statement may read: those of the schema, and those that a newer recorder wrote."""
    return set(TABLES).union(*(recording.tables for recording in recordings))
