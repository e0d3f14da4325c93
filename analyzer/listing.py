"""List the recordings in a folder: a line each, also for those that cannot be read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError, Exit
from analyzer.grid import write_grid
from analyzer.recording import Recording, find_recordings, open_parts
from analyzer.result import Field
from analyzer.segment_check import rows_of
from analyzer.store import missing
from analyzer.values import to_json
from recorder.schema import NANOSECONDS, SUFFIX

_COLUMNS = ("host", "start_ts", "start_ns", "end_ns", "clean_end", "end_reason")


@dataclass(frozen=True, slots=True)
class Listed:
    """One recording in a folder; what is None is not known. ``state`` says how it ended, or why it cannot be read."""

    recording: str
    host: str | None
    started: datetime | None
    seconds: float | None
    rows: int | None
    bytes: int | None
    state: str


def list_folder(folder: Path) -> list[Listed]:
    """Return the recordings in ``folder`` by name; raise AnalyzerError (65) where there is no such folder, or none that may be looked into (77)."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        raise missing(folder) from None
    except NotADirectoryError:
        raise AnalyzerError(f"{folder} is not a folder.", "Name the folder that recordings are in: bpftape ls FOLDER", Exit.RECORDING) from None
    except PermissionError:
        raise AnalyzerError(f"{folder} may not be read by this user.", "Name a folder of your own.", Exit.PERMISSION) from None
    found = {path.name for path in find_recordings(folder)}
    # What has a recording's name and cannot be one is worth a line: somebody will wonder where it went.
    found |= {name for name in names if name.endswith(SUFFIX)}
    return [_listed(folder / name) for name in sorted(found)]


def _listed(path: Path) -> Listed:
    try:
        recordings = open_parts(path)
        if recordings[0].place is not None:
            return _merged(path, recordings)
        (recording,) = recordings
        about = _about(recording)
    except AnalyzerError as error:
        return Listed(path.name, None, None, None, None, None, error.message.replace(f"{path} ", "", 1).rstrip("."))
    segments = [segment for segments in recording.tables.values() for segment in segments]
    seconds = (about["end_ns"] - about["start_ns"]) / NANOSECONDS if about.get("end_ns") else None
    state = f"clean: {about['end_reason']}" if about.get("clean_end") else "being written" if recording.being_written else "unfinished"
    rows, size = sum(segment.rows for segment in segments), sum(segment.bytes for segment in segments)
    return Listed(path.name, about.get("host"), about.get("start_ts"), seconds, rows, size, state)


def _merged(path: Path, recordings: Sequence[Recording]) -> Listed:
    """Return what is said of a merged recording: its hosts, and what its parts have together, on the first one's time line."""
    rows, size, starts, ends = 0, 0, [], []
    for recording in recordings:
        segments = [segment for segments in recording.tables.values() for segment in segments]
        rows, size = rows + sum(segment.rows for segment in segments), size + sum(segment.bytes for segment in segments)
        about = _about(recording)
        starts += [(about["start_ns"] + recording.shift_ns, about["start_ts"])] if about else []
        ends += [about["end_ns"] + recording.shift_ns] if about.get("end_ns") else []
    hosts = ", ".join(dict.fromkeys(recording.place.part.host or "?" for recording in recordings if recording.place))
    seconds = (max(ends) - min(starts)[0]) / NANOSECONDS if starts and len(ends) == len(recordings) else None
    return Listed(path.name, hosts, min(starts)[1] if starts else None, seconds, rows, size, f"merged of {len(recordings)}")


def _about(recording: Recording) -> dict[str, Any]:
    """Return the row of the table recording, as far as it is there; raise AnalyzerError where its file cannot be read."""
    rows = [row for segment in recording.tables.get("recording", [])[-1:] for row in rows_of(recording.store, segment, _COLUMNS)]
    return rows[0] | {"start_ts": _wall_clock(rows[0]["start_ts"])} if rows else {}


def _wall_clock(time_us: int) -> datetime | None:
    """Return a time of UTC; None where it is beyond those that Python has."""
    try:
        return datetime(1970, 1, 1) + timedelta(microseconds=time_us)
    except OverflowError:
        return None


def as_json(found: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return recordings as what JSON has."""
    return [{name: to_json(value) for name, value in asdict(item).items()} for item in found]


def as_text(found: Sequence[Listed], width: int | None) -> str:
    """Return recordings as a table for people. No control characters of them are in it."""
    types = ("VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE", "BIGINT", "BIGINT", "VARCHAR")
    fields = tuple(Field(name, kind) for name, kind in zip(Listed.__slots__, types, strict=True))
    rows = [
        (
            item.recording,
            item.host,
            f"{item.started:%Y-%m-%d %H:%M:%S}" if item.started else None,
            _rounded(item.seconds),
            item.rows,
            item.bytes,
            item.state,
        )
        for item in found
    ]
    out = io.StringIO()
    write_grid(fields, [rows], out, width)
    return out.getvalue().rstrip("\n")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
