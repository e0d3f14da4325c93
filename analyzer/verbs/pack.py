"""``bpftape pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "One file to send": "bpftape pack web1_20261123T041100Z.bpftape",
    "Elsewhere": "bpftape pack web1_20261123T041100Z.bpftape -o /tmp/incident.bpftape.zip",
    "The other side needs not unpack it": "analyze overview incident.bpftape.zip",
}


def pack(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="A *.bpftape folder.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: beside it, NAME.bpftape.zip.")] = None,
    json: Json = False,
) -> None:
    """Put a recording into one file, which analyze and all verbs open as it is. The same recording makes the same file, byte for byte.

    Each segment is held against its checksum on the way. It is packed as it is: to send one out of the house, share it first.
    """
    from analyzer.confinement import confine
    from analyzer.packing import pack as run
    from analyzer.progress import progress
    from analyzer.tell import tell
    from analyzer.text import printable
    from analyzer.verify import total_bytes

    confine([recording], [output or recording])
    with progress("packing", total_bytes(recording)) as advance:
        made = run(recording, output, advance)
    size, name = made.stat().st_size, printable(str(made))
    tell(json, lambda: {"packed": str(made), "bytes": size}, lambda: f"{name} is made, {size:,} bytes. Next: analyze overview {name}")
