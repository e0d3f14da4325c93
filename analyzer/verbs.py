"""The verbs of ``bpftape`` that need no privileges. The recorder's entry point adds its own to the same app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich", help="Work with recordings, and with the machine that makes them."
)


def _version(wanted: bool) -> None:
    if wanted:
        from analyzer.version import version

        print(f"bpftape {version()}")
        raise typer.Exit


@app.callback()
def bpftape(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """Work with recordings, and with the machine that makes them."""


@app.command()
def info(
    recording: Annotated[Path | None, typer.Argument(help="A *.bpftape folder; without one, the newest in this folder.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a recording is: host, window, tables, losses, probes, and what recording cost."""
    from analyzer.info import as_json, as_text, gather
    from analyzer.output import say
    from analyzer.recording import open_recording
    from analyzer.run import newest
    from analyzer.sandbox import limit_process, open_sandbox

    limit_process()
    with open_sandbox([open_recording(recording or newest())]) as sandbox:
        found = gather(sandbox)
    if json:
        from json import dumps

        say(dumps(as_json(found), indent=2))
    else:
        say(as_text(found))


def _complete_table(incomplete: str) -> list[str]:
    from recorder.schema import TABLES

    return [name for name in TABLES if name.startswith(incomplete)]


@app.command()
def schema(
    table: Annotated[str | None, typer.Argument(help="Show this table's columns.", autocompletion=_complete_table, show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which tables a recording has, or which columns a table has: type, meaning and unit of each. No recording is needed."""
    from analyzer import schema
    from analyzer.output import say
    from recorder.schema import TABLES

    tables = [schema.table(table)] if table is not None else list(TABLES.values())
    if json:
        from json import dumps

        say(dumps(schema.as_json(tables), indent=2))
    else:
        say(schema.explain(*tables) if table is not None else schema.listing(tables))


@app.command("new-report")
def new_report(
    name: Annotated[str, typer.Argument(help="What to call it; the file is NAME.sql in this folder.", show_default=False)],
    tables: Annotated[
        str, typer.Option("--tables", metavar="TABLE,…", help="Rows of the first, with what the others have of the same process.")
    ] = "exec",
) -> None:
    """Write a report to start from: a SELECT that runs as it is, with a complete header. Nothing is overwritten."""
    from analyzer.new_report import write
    from analyzer.output import say

    path = write(name, tables.replace(",", " ").split())
    say(f"{path} is made. Next: analyze {path} RECORDING")
