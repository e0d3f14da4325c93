"""``bpftape share``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Json

EXAMPLES = {
    "A copy for another team": "bpftape share web1_20261123T041100Z.bpftape --output incident.bpftape",
    "What would become of it": "bpftape share web1_20261123T041100Z.bpftape --output incident.bpftape --dry-run",
    "More of them with the same pseudonyms, so that they join": "bpftape share web2_20261123T041100Z.bpftape --output more.bpftape --key ~/share.key",
    "For strangers": "bpftape share web1_20261123T041100Z.bpftape --output public.bpftape --policy strict",
}


def _complete_policy(incomplete: str) -> list[str]:
    from analyzer.share.policy import built_in

    return [name for name in built_in() if name.startswith(incomplete)]


def share(
    recording: Annotated[Path, typer.Argument(help="A *.bpftape folder.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The copy; it must not be there yet.", show_default=False)],
    policy: Annotated[
        str,
        typer.Option("--policy", metavar="NAME|FILE", help="strict, standard, minimal, or a TOML file.", autocompletion=_complete_policy),
    ] = "standard",
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Make pseudonyms under the key in this file; it is made if it is not there.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would become of each column, and write nothing.")] = False,
    json: Json = False,
) -> None:
    """Make a copy of a recording that is fit to leave the house: names and addresses become pseudonyms, and a check looks for what leaked.

    The same value has the same pseudonym everywhere under one key, so that reports, GROUP BY and JOIN work as before; addresses keep their networks.
    Of a recording that is still being written the copy has what is closed by now, and says so. Exits with 1, and hands nothing out, when the check
    finds one of the original values in the copy.
    """
    import sys

    from analyzer.confinement import confine
    from analyzer.interrupt import terminated

    try:
        from analyzer.share.run import Request, share
    except ModuleNotFoundError as error:
        from analyzer.errors import AnalyzerError, Exit

        raise AnalyzerError(
            f"share needs {error.name}, which is not installed.", "Install bpftape with it: pip install 'bpftape[share]'", Exit.OUTPUT
        ) from None
    from analyzer.share.summary import as_json, as_text
    from analyzer.tell import tell
    from analyzer.text import printable

    confine([recording, Path(policy), *([key] if key else [])], [output, key])
    with terminated():
        summary = share(Request(recording, output, policy, key, dry_run))
    for note in summary.notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    tell(json, lambda: as_json(summary), lambda: as_text(summary))
