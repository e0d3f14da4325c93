"""Say what a merged recording is made of, and how far its hosts' clocks are known: for people, and as JSON."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from analyzer.grid import write_grid
from analyzer.merged import Part, Source, bound, folder
from analyzer.recording import Recording
from analyzer.result import Field
from analyzer.text import printable
from recorder.schema import NANOSECONDS

_FIELDS = [Field("part", "VARCHAR"), Field("host", "VARCHAR"), Field("recording", "VARCHAR"), Field("rows", "BIGINT")]
_FIELDS += [Field("wall_clock_s", "DOUBLE"), Field("known_to", "VARCHAR"), Field("by", "VARCHAR")]


def is_merged(recordings: Sequence[Recording]) -> bool:
    """Say whether these are the parts of a merged recording."""
    return recordings[0].place is not None


def as_json(recordings: Sequence[Recording], notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the parts as what JSON has."""
    place = recordings[0].place
    assert place is not None
    return {
        "recording": str(place.path),
        "recording_id": place.timeline,
        "parts": [
            {"part": folder(number)} | asdict(part) | {"rows": _rows(recording), "bytes": _bytes(recording)}
            for number, (recording, part) in enumerate(_parts(recordings))
        ],
        "notes": list(notes),
    }


def as_text(recordings: Sequence[Recording], notes: Sequence[str] = ()) -> str:
    """Return the parts for people. No control characters of the recordings are in it."""
    place = recordings[0].place
    assert place is not None
    rows = [
        (folder(number), part.host, part.name, _rows(recording), round(part.wall_shift_ns / NANOSECONDS, 6) or 0.0, _known(part), _by(part))
        for number, (recording, part) in enumerate(_parts(recordings))
    ]
    out = io.StringIO()
    out.write(f"{printable(place.merged)}: {len(recordings)} recordings on the time line of the first\n\n")
    write_grid(_FIELDS, [rows], out, None)
    out.write("\nwall_clock_s is added to a host's wall clock to be that of the first; known_to says how far that may be wrong.\n")
    out.writelines(f"note: {printable(note)}\n" for note in notes)
    return out.getvalue().rstrip("\n")


def _parts(recordings: Sequence[Recording]) -> list[tuple[Recording, Part]]:
    return [(recording, recording.place.part) for recording in recordings if recording.place]


def _known(part: Part) -> str:
    return "exactly" if not part.bound_ns else bound(part.bound_ns)


def _by(part: Part) -> str:
    if part.source in (Source.CONNECTIONS, Source.BOTH):
        return f"{part.connections:,} {part.source.value}"
    return part.source.value


def _rows(recording: Recording) -> int:
    return sum(segment.rows for segments in recording.tables.values() for segment in segments)


def _bytes(recording: Recording) -> int:
    return sum(segment.bytes for segments in recording.tables.values() for segment in segments)
