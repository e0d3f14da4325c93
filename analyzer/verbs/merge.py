"""``bpftape merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "Two hosts on one time line": "bpftape merge web1.bpftape db1.bpftape --output both.bpftape",
    "Then who talks to whom, over both": "analyze service_map both.bpftape",
    "How far their clocks are known": "bpftape info both.bpftape",
}


def merge(
    recordings: Annotated[list[Path], typer.Argument(metavar="RECORDING...", help="Recordings; the first one's clock is kept.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The merged recording; it must not be there yet.", show_default=False)
    ],
    within: Annotated[
        str | None,
        typer.Option(
            "--clocks-within",
            metavar="TIME",
            help="How far wall clocks of hosts may be apart, where no connections tell better; without it what both hosts say of that, else 1s.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Put recordings of several hosts into one that all reports read, on one time line: that of the first.

    How their clocks lie to each other is told by connections that both ends recorded, and else by the hosts' wall clocks. It is known to within a
    bound, which each answer names: orders of rows of two hosts inside of it are undecided. Recordings are taken in as they are, by hard links where
    that can be, and each byte is held against its checksum.
    """
    from analyzer.merge.run import Request
    from analyzer.merge.run import merge as make
    from analyzer.merge.summary import as_json, as_text
    from analyzer.tell import tell

    made, notes = make(Request(recordings, output, within))
    tell(json, lambda: as_json(made, notes), lambda: as_text(made, notes))
