"""Arguments and options that several verbs have, so that they are called and explained alike everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer


def complete_format(incomplete: str) -> list[str]:
    """Return the formats whose names begin like that."""
    from analyzer.render import formats

    return [name for name in formats() if name.startswith(incomplete)]


def complete_table(incomplete: str) -> list[str]:
    """Return the tables whose names begin like that, also where they follow others and a comma."""
    from recorder.schema import TABLES

    return complete_last(incomplete, TABLES)


def complete_readable(incomplete: str) -> list[str]:
    """Return the tables and derived views whose names begin like that."""
    from analyzer.derived import derived_names
    from recorder.schema import TABLES

    return complete_last(incomplete, (*TABLES, *derived_names()))


def complete_last(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return what a list of names, with commas between them, may become by what its last name may become."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def _formats() -> str:
    from analyzer.render import formats

    return f"One of {', '.join(formats())}."


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help=_formats(), autocompletion=complete_format)]

Timeout = Annotated[str, typer.Option("--timeout", metavar="SECONDS", help="Stop a statement that runs longer; 0: no limit.")]

Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only from then on: 5s or 1m30s after the start, or UTC: 08:40:25, 2026-11-23T08:40:25.")
]

Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only before then; written as for --since.")]

Host = Annotated[str | None, typer.Option("--host", metavar="NAME", help="Only the recordings of this host.")]

Container = Annotated[
    str | None,
    typer.Option("--container", metavar="NAME", help="Only rows of processes in this container: its name, host name, id or prefix of that."),
]

RecordingOrNewest = Annotated[
    Path | None, typer.Argument(metavar="RECORDING", help="A *.bpftape folder; without one, the newest in this folder.", show_default=False)
]
