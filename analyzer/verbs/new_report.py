"""``bpftape new-report``."""

from __future__ import annotations

from typing import Annotated

import typer

from analyzer.options import complete_table

EXAMPLES = {
    "A report about processes": "bpftape new-report odd_ends --tables exit,exec",
    "Then run it": "analyze odd_ends.sql web1_20261123T041100Z.bpftape",
}


def new_report(
    name: Annotated[str, typer.Argument(help="What to call it; the file is NAME.sql in this folder.", show_default=False)],
    tables: Annotated[
        str,
        typer.Option(
            "--tables", metavar="TABLE,…", help="Rows of the first, with what the others have of the same process.", autocompletion=complete_table
        ),
    ] = "exec",
) -> None:
    """Write a report to start from: a SELECT that runs as it is, with a complete header. Nothing is overwritten."""
    from analyzer.new_report import write
    from analyzer.output import say

    path = write(name, tables.replace(",", " ").split())
    say(f"{path} is made. Next: analyze {path} RECORDING")
