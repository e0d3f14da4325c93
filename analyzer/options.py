"""Arguments and options that several verbs have, so that they are called and explained alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RecordingOrNewest = Annotated[
    Path | None, typer.Argument(metavar="RECORDING", help="A *.bpftape folder; without one, the newest in this folder.", show_default=False)
]
