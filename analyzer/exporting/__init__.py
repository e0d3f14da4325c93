"""Write a recording down in the form of other tools: one module a form, found by its place.

A module has ``DOC``, what the form is for, ``SUFFIX``, what its files are called, and ``write(sandbox, target)``, which makes ``target``, a file or a
folder that is not there yet, and returns what it made: sentences for people.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from analyzer.beside import check_new, making, told
from analyzer.errors import AnalyzerError
from analyzer.sql_error import near
from analyzer.text import printable
from recorder.schema import TABLES

_TITLE = "export"


def forms() -> list[str]:
    """Return the names of all forms, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def load(name: str) -> ModuleType:
    """Return the module of the form called ``name``; raise AnalyzerError if there is none."""
    if name not in forms():
        raise AnalyzerError(f"There is no format {name}.", near(name, forms()) or f"Formats: {', '.join(forms())}.")
    return importlib.import_module(f"{__name__}.{name}")


def export(recording: Path, name: str, output: Path | None) -> dict[str, Any]:
    """Write a recording in the form called ``name`` to ``output``, in this folder unless that is given, say what was made, and return it for JSON.

    What is made appears when it is whole. Raises AnalyzerError: 2 for an unknown form, 73 where something is there already or the place cannot be
    written to, 74 where the disk is full.
    """
    from analyzer.confinement import confine
    from analyzer.merged import notes
    from analyzer.recording import open_recordings
    from analyzer.sandbox import open_sandbox
    from analyzer.trust import assess
    from analyzer.watch import watched
    from analyzer.wording import as_json, line

    module = load(name)
    opened = open_recordings([recording])
    target = output or Path(recording.absolute().name.removesuffix(".zip").removesuffix(".bpftape") + module.SUFFIX)
    check_new(target)
    confine([part.path for part in opened], [target])
    with open_sandbox(opened, 0) as sandbox, watched(sandbox, _TITLE):
        with told(target), making(target) as partial:
            made = module.write(sandbox, partial)
        trust = assess(sandbox, TABLES, TABLES)
    names = {part.id: part.name for part in opened}
    said = [f"wrote {target}: {made}", *(f"note: {note}" for note in notes(opened)), line(trust, names)]
    print("\n".join(map(printable, said)), file=sys.stderr)
    return {"exported": str(target), "format": name, "made": made, "coverage": as_json(trust, names, notes(opened))}
