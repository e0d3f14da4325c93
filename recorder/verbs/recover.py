"""``bpftape recover``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "After the recorder was killed, the disk was full, or the power went": "bpftape recover web1_20261123T041100Z.bpftape",
    "What it would find": "bpftape verify web1_20261123T041100Z.bpftape",
}


def recover(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="A *.bpftape folder.", show_default=False)],
    json: Json = False,
) -> None:
    """Keep what is sound of a recording whose recorder was ended, and have what is missing counted as lost, so that every answer tells of it.

    Segments that are whole and not in the manifest are taken in, those that are damaged are put out of use, and nothing is removed: no file with
    a row in it is changed. Done twice it changes nothing more. A recording that is still being written is refused.
    """
    from analyzer.confinement import confine
    from analyzer.progress import progress
    from analyzer.tell import tell
    from analyzer.verify import total_bytes
    from recorder.recover import recover as run
    from recorder.recover_text import as_json, as_text
    from recorder.schema import MANIFEST

    confine([recording], [recording / f"{MANIFEST}.tmp"])
    with progress("recovering", total_bytes(recording)) as advance:
        done = run(recording, advance)
    tell(json, lambda: as_json(done), lambda: as_text(done))
