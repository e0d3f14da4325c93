"""Read a recording's manifest: what belongs to the recording, as FORMAT.md has it. It may come from a stranger."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from analyzer.errors import AnalyzerError, Exit
from analyzer.merged import Part, merged
from analyzer.shared import Shared, shared
from recorder.schema import FORMAT, MANIFEST

# Paths and ids in a manifest are a stranger's: these patterns are all that is accepted of them.
SEGMENT_PATH = re.compile(r"([a-z][a-z0-9_]{0,62})/[0-9]{1,12}\.parquet")
RECORDING_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_LAST_FORMAT = 1_000_000
# FORMAT.md's limits. The recorder closes a segment at a million rows.
_MOST_ROWS = 1 << 24
_MOST_BYTES = 1 << 40
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One closed Parquet file of a table, as the manifest has it; what is None is not in its line."""

    table: str
    path: Path
    rows: int
    bytes: int
    sha256: str | None = None
    first_ts_ns: int | None = None
    last_ts_ns: int | None = None

    @property
    def name(self) -> str:
        """Return its path inside of the recording."""
        return f"{self.table}/{self.path.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says.

    ``segments`` are those that no later one replaces, ``named`` all paths that it has, ``replaced`` those that a later line replaces, ``faults``
    what is wrong with lines that are no segment's, ``lines`` those that are sound, as they are, and ``torn`` what comes behind the last newline.
    ``shared`` is what it says of sharing, ``merged`` the parts where it is of a merged recording: none of them where it says nonsense.
    """

    id: str
    recorder: str
    format: int
    segments: tuple[Segment, ...]
    named: frozenset[str]
    replaced: frozenset[str]
    faults: tuple[str, ...]
    lines: tuple[bytes, ...]
    torn: bytes
    shared: Shared | None = None
    merged: tuple[Part, ...] | None = None


def parse(shown: Path, where: Path, text: bytes) -> Manifest:
    """Read the manifest ``text`` of the recording at ``where``, which messages call ``shown``.

    Raises AnalyzerError (exit 65) where its first line is not that of a recording that this analyzer reads. What is wrong with other lines is
    in ``faults``.
    """
    header_line, *lines = text.split(b"\n")
    torn = lines.pop() if lines else header_line
    if torn is header_line:
        raise AnalyzerError(f"{shown} is an empty recording: its {MANIFEST} has no line.", "Record again.", Exit.RECORDING)
    header = _header(shown, header_line)
    segments: dict[str, Segment] = {}
    named: set[str] = set()
    replaced: set[str] = set()
    faults, sound = [], [header_line]
    for number, line in enumerate(lines, start=2):
        entry = json_object(line)
        segment, fault = _segment(where, entry)
        if segment is None or segment.name in named:
            faults.append(f"line {number} of its {MANIFEST} {fault or 'names a segment again'}")
            continue
        named.add(segment.name)
        sound.append(line)
        for path in entry.get("replaces", []) if entry else []:
            replaced.add(str(path))
            segments.pop(str(path), None)
        segments[segment.name] = segment
    return Manifest(
        header["recording_id"],
        str(header.get("recorder", "unknown")),
        header["bpftape_format"],
        tuple(segments.values()),
        frozenset(named),
        frozenset(replaced),
        tuple(faults),
        tuple(sound),
        torn,
        shared(header),
        merged(header),
    )


def json_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object that ``line`` is, or None where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def damaged(shown: Path, what: str, hint: str = "") -> AnalyzerError:
    """Return what to tell people about a recording that is not as it was written."""
    return AnalyzerError(f"{shown} is damaged: {what}.", hint or f"What is left of it: bpftape verify {shown}", Exit.RECORDING)


def _header(shown: Path, line: bytes) -> dict[str, Any]:
    header = json_object(line)
    version = header.get("bpftape_format") if header else None
    if header is None or not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= _LAST_FORMAT:
        raise AnalyzerError(f"{shown} is not a recording: the first line of its {MANIFEST} is not bpftape's.", code=Exit.RECORDING)
    if version > FORMAT:
        raise AnalyzerError(
            f"{shown} has recording format {version}; this analyzer reads format 1 to {FORMAT}.",
            "Install a newer bpftape to read it.",
            Exit.RECORDING,
        )
    recording_id = header.get("recording_id")
    if not isinstance(recording_id, str) or not RECORDING_ID.fullmatch(recording_id):
        raise damaged(shown, f"its {MANIFEST} has no usable recording_id", f"A manifest that is lost can be made again: bpftape recover {shown}")
    return header


def _segment(where: Path, entry: dict[str, Any] | None) -> tuple[Segment | None, str]:
    """Return the segment of a line, or None and what is wrong with the line."""
    name = entry.get("path") if entry else None
    match = SEGMENT_PATH.fullmatch(name) if isinstance(name, str) else None
    if entry is None or name is None or match is None or entry.get("table") != match[1]:
        return None, "does not name a segment"
    rows, size, sha256 = entry.get("rows"), entry.get("bytes"), entry.get("sha256")
    if not _is_count(rows) or not _is_count(size) or not isinstance(entry.get("replaces", []), list):
        return None, "is not a segment's"
    if rows > _MOST_ROWS or size > _MOST_BYTES:
        return None, f"claims more {'rows' if rows > _MOST_ROWS else 'bytes'} than a segment can have"
    whole = sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None
    return Segment(match[1], where / name, rows, size, whole, _time(entry.get("first_ts_ns")), _time(entry.get("last_ts_ns"))), ""


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _time(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 1 << 63 else None
