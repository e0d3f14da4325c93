"""Arguments and options that several verbs have, so that they are called and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

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
