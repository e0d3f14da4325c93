"""``bpftape export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json, RecordingOrNewest

EXAMPLES = {
    "See it in Perfetto's user interface (https://ui.perfetto.dev)": "bpftape export web1_20261123T041100Z.bpftape --format perfetto",
    "A database for your own SQL, without the sandbox": "bpftape export --format duckdb -o web1.duckdb",
    "Files for a spreadsheet": "bpftape export --format csv",
}


def _forms() -> str:
    from analyzer.exporting import forms

    return f"One of {', '.join(forms())}."


def _complete_form(incomplete: str) -> list[str]:
    from analyzer.exporting import forms

    return [name for name in forms() if name.startswith(incomplete)]


def export(
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help=_forms(), autocompletion=_complete_form, show_default=False)],
    recording: RecordingOrNewest = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Where to; in this folder, named like the recording, without it.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a recording down in the form of another tool: Perfetto, DuckDB, CSV, JSON lines."""
    from analyzer.exporting import export as write
    from analyzer.output import say
    from analyzer.run import newest
    from analyzer.values import json_document

    made = write(recording or newest(), form, output)
    if json:  # people are told on stderr, since what was asked for is in the files
        say(json_document(made))
