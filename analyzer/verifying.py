"""Carry out one call of ``bpftape verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from analyzer.confinement import confine
from analyzer.errors import AnalyzerError, Exit
from analyzer.merged import Place
from analyzer.progress import Advance, progress
from analyzer.recording import open_store, stores
from analyzer.store import Store
from analyzer.tell import tell
from analyzer.text import printable
from analyzer.verify import Finding, State, Verified, total_bytes, verify
from analyzer.verify_text import as_json, as_text, hint
from recorder.schema import MANIFEST


def verify_all(paths: list[Path], decode: bool, json: bool) -> Exit:
    """Verify the recordings at ``paths``, with all parts of merged ones, print what was found, and return the exit code.

    One that cannot be read at all, or a part of one, is said on stderr and keeps none of the others from being looked at; where there is nothing
    else, AnalyzerError.
    """
    confine(paths)
    found: list[Verified] = []
    errors: list[tuple[Path, AnalyzerError]] = []
    with progress("verifying", sum(map(total_bytes, paths))) as advance:
        for path in paths:
            try:
                inside = stores(open_store(path))
            except AnalyzerError as error:
                errors.append((path, error))
                continue
            for store, place in inside:
                try:
                    found.append(_verified(store, place, advance, decode))
                except AnalyzerError as error:
                    errors.append((path / place.folder if place else path, error))
    if len(errors) == 1 and not found:
        raise errors[0][1]
    _print(found, errors, json)
    if any(item.damaged for item in found):
        return Exit.RECORDING
    return errors[0][1].code if errors else Exit.OK


def _verified(store: Store, place: Place | None, advance: Advance, decode: bool) -> Verified:
    found = verify(store, advance, decode)
    if place:
        found.path, found.name = place.path / place.folder, f"{place.merged}/{place.folder}"
        if found.id != place.part.recording_id:
            found.findings.append(Finding(MANIFEST, "is that of another recording than was merged"))
            found.state = State.DAMAGED
    return found


def _unread(path: Path, error: AnalyzerError) -> dict[str, Any]:
    return {"recording": str(path), "state": "unreadable", "damaged": True, "error": error.message}


def _print(found: list[Verified], errors: list[tuple[Path, AnalyzerError]], json: bool) -> None:
    if found or json:
        tell(json, lambda: [*map(as_json, found), *(_unread(*item) for item in errors)], lambda: "\n".join(map(as_text, found)))
    for _, error in errors:
        print(f"error: {printable(error.message)}", file=sys.stderr)
    for item in found:
        if text := hint(item):
            print(f"hint: {printable(text)}", file=sys.stderr)
