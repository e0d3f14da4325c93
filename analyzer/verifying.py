"""Carry out one call of ``bpftape verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from analyzer.confinement import confine
from analyzer.errors import AnalyzerError, Exit
from analyzer.output import say
from analyzer.progress import progress
from analyzer.text import printable
from analyzer.verify import Verified, total_bytes, verify
from analyzer.verify_text import as_json, as_text, hint


def verify_all(paths: list[Path], decode: bool, json: bool) -> Exit:
    """Verify the recordings at ``paths``, print what was found, and return the exit code.

    One that cannot be read at all is said on stderr and keeps none of the others from being looked at; where it is the only one, AnalyzerError.
    """
    confine(paths)
    found: list[Verified] = []
    errors: list[tuple[Path, AnalyzerError]] = []
    with progress("verifying", sum(map(total_bytes, paths))) as advance:
        for path in paths:
            try:
                found.append(verify(path, advance, decode))
            except AnalyzerError as error:
                errors.append((path, error))
    if len(paths) == 1 and errors:
        raise errors[0][1]
    _print(found, errors, json)
    if any(item.damaged for item in found):
        return Exit.RECORDING
    return errors[0][1].code if errors else Exit.OK


def _print(found: list[Verified], errors: list[tuple[Path, AnalyzerError]], json: bool) -> None:
    if json:
        from json import dumps

        items: list[dict[str, Any]] = [as_json(item) for item in found]
        items += [{"recording": str(path), "state": "unreadable", "damaged": True, "error": error.message} for path, error in errors]
        say(dumps(items, indent=2))
    elif found:
        say("\n".join(map(as_text, found)))
    for _, error in errors:
        print(f"error: {printable(error.message)}", file=sys.stderr)
    for item in found:
        if text := hint(item):
            print(f"hint: {printable(text)}", file=sys.stderr)
