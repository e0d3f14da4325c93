"""Recordings that are merged: what their manifest says of their parts, and of the clocks that were put on one time line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.recording import Recording

KEY = "merged"
"""Key of the manifest's header."""

NONSENSE = "what its manifest says of the recordings that were merged makes no sense"

PARTS = "parts"
"""The folder of all parts."""

FOLDER = re.compile(rf"{PARTS}/[0-9]{{6}}")
"""What :func:`folder` returns."""

MOST_PARTS = 1_000
_LONGEST_NS = 1 << 61
_LONGEST_NAME = 255


class Source(StrEnum):
    """What tells how a host's clock lies to that of the first part."""

    ITSELF = "itself"
    BOOT = "same boot"
    CONNECTIONS = "connections"
    SYNCHRONIZED = "synchronized wall clocks"
    WALL = "wall clocks"
    BOTH = "connections and wall clocks"


@dataclass(frozen=True, slots=True)
class Part:
    """One of the recordings that were merged.

    ``shift_ns`` is what its CLOCK_BOOTTIME has to have added to be that of the first part, ``wall_shift_ns`` the same for its wall clock.
    The first is at most ``bound_ns`` wrong, for the reason that ``source`` says; ``connections`` says by how many, seen from both ends.
    """

    recording_id: str
    name: str
    host: str | None
    shift_ns: int
    wall_shift_ns: int
    bound_ns: int
    source: Source
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording is that is a part of a merged one: the id and the path of that, and which of its parts it is."""

    timeline: str
    path: Path
    number: int
    part: Part

    @property
    def merged(self) -> str:
        """Return the name of the merged recording."""
        return self.path.name

    @property
    def folder(self) -> str:
        """Return where it is inside of the merged recording."""
        return folder(self.number)


def folder(number: int) -> str:
    """Return where the part of that number is, inside of the merged recording's folder."""
    return f"{PARTS}/{number:06}"


def header(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what the header of a manifest says of ``parts``."""
    return {KEY: {"parts": [asdict(part) for part in parts]}}


def merged(header: dict[str, Any]) -> tuple[Part, ...] | None:
    """Return the parts that the header of a manifest names; None where the recording is none that was merged, and none where it says nonsense.

    It comes from a stranger: paths are not taken from it, and numbers only where the times of a recording bear them.
    """
    if KEY not in header:
        return None
    about = header[KEY]
    listed = about.get("parts") if isinstance(about, dict) else None
    if not isinstance(listed, list) or not 2 <= len(listed) <= MOST_PARTS:
        return ()
    parts = [_part(item) for item in listed]
    sound = [part for part in parts if part is not None]
    return tuple(sound) if len(sound) == len(parts) and len({part.recording_id for part in sound}) == len(sound) else ()


def _part(item: Any) -> Part | None:
    """Return a part as the header has it, or None where it is none."""
    try:
        host = item["host"]
        return Part(
            _text(item["recording_id"]),
            _text(item["name"]),
            _text(host) if host is not None else None,
            _number(item["shift_ns"], -_LONGEST_NS),
            _number(item["wall_shift_ns"], -_LONGEST_NS),
            _number(item["bound_ns"], 0),
            Source(item["source"]),
            _number(item["connections"], 0),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
        raise ValueError
    return value


def _number(value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LONGEST_NS:
        raise ValueError
    return value


def bound(bound_ns: int) -> str:
    """Return how far clocks may be apart, for people."""
    for unit, size_ns in (("s", 1_000_000_000), ("ms", 1_000_000)):
        if bound_ns >= size_ns:
            return f"±{bound_ns / size_ns:.3g} {unit}"
    return f"±{bound_ns / 1_000:.3g} us"


def notes(recordings: Sequence[Recording]) -> list[str]:
    """Return what readers of a report should know about the order of rows of several hosts: a sentence for each time line."""
    lines: dict[str, list[Place]] = {}
    for recording in recordings:
        if recording.place:
            lines.setdefault(recording.place.timeline, []).append(recording.place)
    return [_note(places) for places in lines.values() if len(places) > 1]


def _note(places: Sequence[Place]) -> str:
    bounds = sorted(place.part.bound_ns for place in places)
    apart_ns = bounds[-1] + bounds[-2]
    sources = " or ".join(dict.fromkeys(place.part.source.value for place in places if place.part.source is not Source.ITSELF)) or "itself"
    if not apart_ns:
        return f"{places[0].merged} is merged of {len(places)} recordings with one clock"
    hosts = len({place.part.host for place in places})
    return (
        f"{places[0].merged} is merged of {hosts} hosts, whose clocks are known to {bound(apart_ns)} (by {sources}): "
        "orders of their rows inside of that are undecided"
    )
