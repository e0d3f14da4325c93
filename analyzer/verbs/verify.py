"""``bpftape verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "Is this copy what was recorded": "bpftape verify web1_20261123T041100Z.bpftape",
    "Every recording here, for a script": "bpftape verify --json *.bpftape | jq -r '.[] | select(.damaged).recording'",
    "Decode every value, too, of a recording from a stranger": "bpftape verify --decode theirs.bpftape",
}


def verify(
    recordings: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="Recordings.", show_default=False)],
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every value: takes longer, and finds what was wrong before its checksum was made.")
    ] = False,
    json: Json = False,
) -> None:
    """Read all of each recording, and say what is damaged, what is missing, and what can still be read.

    Each segment is held against the manifest: format, size, checksum, rows, times; and the rows of each table against what the kernel counted.
    Exits with 0 where all that is there is as it was written, also where the recorder was killed, and with 65 where something is damaged.
    """
    from analyzer.verifying import verify_all

    raise typer.Exit(verify_all(recordings, decode, json))
