"""Share a merged recording: each part under the same key, and what is said of them without the names of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analyzer.beside import sync
from analyzer.merged import PARTS, Part, header
from analyzer.recording import Recording
from analyzer.share.copy import write_manifest
from analyzer.share.policy import Policy, Treatment
from analyzer.share.pseudonyms import Pseudonyms
from analyzer.version import version
from recorder.schema import FORMAT, SUFFIX, Kind


def enter_merged(folder: Path, recordings: Sequence[Recording], policy: Policy, pseudonyms: Pseudonyms) -> Path:
    """Write the manifest of the merged copy in ``folder``, whose parts are there, and return its path.

    Their clocks lie to each other as they did: where a policy moves times, it moves those of all parts alike.
    """
    places = [recording.place for recording in recordings if recording.place]
    first = {"bpftape_format": FORMAT, "recording_id": pseudonyms.recording_id(places[0].timeline), "recorder": f"bpftape {version()}"}
    sync(folder / PARTS)
    return write_manifest(folder, [first | header([_part(place.part, policy, pseudonyms) for place in places])])


def _part(part: Part, policy: Policy, pseudonyms: Pseudonyms) -> Part:
    """Return what may be said of a part: the name of a recording is made of its host's."""
    treatment = policy.kinds[Kind.HOST]
    if treatment is Treatment.KEEP:
        return replace(part, recording_id=pseudonyms.recording_id(part.recording_id))
    host = None if part.host is None or treatment is Treatment.DROP else pseudonyms.token(Kind.HOST, part.host)
    name = pseudonyms.token(Kind.ID, part.name) + SUFFIX
    return replace(part, recording_id=pseudonyms.recording_id(part.recording_id), name=name, host=host)
