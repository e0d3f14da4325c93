"""``bpftape unpack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "A folder again, here": "bpftape unpack web1_20261123T041100Z.bpftape.zip",
    "Elsewhere": "bpftape unpack incident.bpftape.zip -o /var/tmp",
}


def unpack(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="A *.bpftape.zip file.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to make it; default: here.", show_default=False)] = Path(),
    json: Json = False,
) -> None:
    """Make a folder of a packed recording, under the name that it was packed with. Each file is held against its checksum on the way.

    Only what belongs to a recording is ever written, and all of it below that folder. Most things need no unpacking: analyze reads packed recordings.
    """
    from analyzer.confinement import confine
    from analyzer.packing import unpack as run
    from analyzer.progress import progress
    from analyzer.tell import tell
    from analyzer.text import printable
    from analyzer.verify import total_bytes

    confine([recording], [output / "made"])
    with progress("unpacking", total_bytes(recording)) as advance:
        made = run(recording, output, advance)
    name = printable(str(made))
    tell(json, lambda: {"unpacked": str(made)}, lambda: f"{name} is made. Next: analyze overview {name}")
