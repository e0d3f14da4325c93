"""Carry out one call of ``bpftape merge``: open, see how the clocks lie to each other, take the segments in, and only then hand out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyzer.beside import beside, check_new, told
from analyzer.confinement import confine
from analyzer.errors import AnalyzerError, Exit
from analyzer.merge.align import Aligned, align
from analyzer.merge.copy import copy_recording, write_file
from analyzer.merge.evidence import Host, connections, hosts
from analyzer.merged import MOST_PARTS, PARTS, Part, folder, header
from analyzer.progress import progress
from analyzer.recording import Recording, check_ended, open_recordings
from analyzer.sandbox import open_sandbox
from analyzer.scope import duration
from analyzer.version import version
from analyzer.watch import watched
from recorder.schema import FORMAT, MANIFEST

_TITLE = "merge"
_MEMORY_BYTES = 500 << 20
"""What DuckDB may use to find the connections that were seen from both ends; what does not fit it writes to the disk."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed."""

    recordings: Sequence[Path]
    output: Path
    within: str | None


def merge(request: Request) -> tuple[list[Recording], list[str]]:
    """Make the merged recording; return its parts, and sentences about what is odd.

    Raises AnalyzerError for whatever the user can mend, and leaves nothing of the output: 2 for recordings that cannot be merged, 65 for one that
    cannot be read, 73 or 74 for an output that cannot be written.
    """
    within_ns = duration(request.within) if request.within is not None else None
    if request.within is not None and within_ns is None:
        raise AnalyzerError(f"--clocks-within {request.within}: that is no length of time.", "Write 250ms, 1s or 2h.")
    check_new(request.output)
    opened = open_recordings(request.recordings)
    names = [recording.name for recording in opened]
    recordings = [replace(recording, place=None) for recording in opened]
    _check(recordings)
    with told(request.output), beside(request.output) as made:
        _take_in(recordings, made)
        # Only then: a process that is confined can make no hard links.
        confine([recording.path for recording in recordings], [request.output])
        parts, notes = _aligned(recordings, names, within_ns)
        first = {"bpftape_format": FORMAT, "recording_id": uuid.uuid4().hex, "recorder": f"bpftape {version()}"} | header(parts)
        write_file(made / MANIFEST, json.dumps(first).encode() + b"\n")
    return open_recordings([request.output]), notes


def _check(recordings: Sequence[Recording]) -> None:
    if not 2 <= len(recordings) <= MOST_PARTS:
        raise AnalyzerError(f"From 2 to {MOST_PARTS:,} recordings can be merged; here is {len(recordings):,}.", "bpftape merge A B -o OUT.bpftape")
    check_ended(recording.store for recording in recordings)


def _hosts(recordings: Sequence[Recording], found: Sequence[Host | None]) -> list[Host]:
    known: list[Host] = []
    starts: dict[tuple[int, int], Recording] = {}
    for recording, host in zip(recordings, found, strict=True):
        if host is None:
            hint = f"What is left of it: bpftape verify {recording.store.shown}"
            raise AnalyzerError(f"{recording.store.shown} does not tell when it began: its table recording is missing.", hint, Exit.RECORDING)
        # To the nanosecond, no two recordings begin and end at the same time of their clocks: one is a shared copy of the other.
        other = starts.setdefault((host.start_ns, host.end_ns), recording)
        if other is not recording:
            both = f"{other.store.shown} and {recording.store.shown}"
            raise AnalyzerError(f"{both} are the same recording, one of them as a shared copy.", "Name each recording once.")
        known.append(host)
    return known


def _part(recording: Recording, name: str, host: Host, aligned: Aligned) -> Part:
    return Part(
        recording.id,
        name,
        host.name,
        aligned.shift_ns,
        aligned.wall_shift_ns,
        aligned.bound_ns,
        aligned.source,
        aligned.connections,
    )


def _take_in(recordings: Sequence[Recording], made: Path) -> None:
    total = sum(segment.bytes for recording in recordings for segments in recording.tables.values() for segment in segments)
    with progress("merging", total) as advance:
        (made / PARTS).mkdir(0o700)
        for number, recording in enumerate(recordings):
            copy_recording(recording, made / folder(number), advance)


def _aligned(recordings: Sequence[Recording], names: Sequence[str], within_ns: int | None) -> tuple[list[Part], list[str]]:
    with open_sandbox(recordings, 0, _MEMORY_BYTES) as sandbox, watched(sandbox, _TITLE):
        known = _hosts(recordings, hosts(sandbox))
        aligned, notes = align(known, connections(sandbox, known), within_ns, names)
    return [_part(*told) for told in zip(recordings, names, known, aligned, strict=True)], notes
