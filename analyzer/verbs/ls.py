"""``bpftape ls``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "The recordings in this folder": "bpftape ls",
    "Those that did not end by themselves, for a script": "bpftape ls --json /var/tmp | jq -r '.[] | select(.state == \"unfinished\").recording'",
}


def ls(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look; without one, in this folder.", show_default=False)] = Path(),
    json: Json = False,
) -> None:
    """List the recordings in a folder: host, start, length, rows, size, and how each ended, or why it cannot be read."""
    import sys

    from analyzer.confinement import confine
    from analyzer.listing import as_json, as_text, list_folder
    from analyzer.output import open_output
    from analyzer.tell import tell
    from analyzer.text import printable

    confine([folder, *(path for path in folder.glob("*") if path.is_symlink())])
    found = list_folder(folder)
    if found or json:
        with open_output(None) as (_, width):
            tell(json, lambda: as_json(found), lambda: as_text(found, width))
    else:
        print(f"There is no recording in {printable(str(folder.absolute()))}. To make one: sudo record --duration 10", file=sys.stderr)
