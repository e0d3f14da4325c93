"""``bpftape sql``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Container, Format, Host, Since, Timeout, Until

EXAMPLES = {
    "A prompt over the newest recording in this folder": "bpftape sql",
    "Over all of them": "bpftape sql *.bpftape",
    "Without a prompt": "echo 'SELECT comm FROM exec;' | bpftape sql web1_20261123T041100Z.bpftape --format csv",
}


def sql(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RECORDING", help="*.bpftape folders; without one, the newest in this folder.", show_default=False),
    ] = None,
    form: Format = "table",
    timeout: Timeout = "600",
    since: Since = None,
    until: Until = None,
    host: Host = None,
    container: Container = None,
) -> None:
    """Ask recordings one question after the other in SQL, at a prompt or from a pipe. A statement may do what a report may, and no more.

    After each answer comes what it rests on. Ctrl-C stops a statement, Ctrl-D leaves, .help lists commands beside SQL.

    From a pipe the exit code is that of the first error.
    """
    from analyzer.prompt import ask_all
    from analyzer.run import check_format, newest, seconds
    from analyzer.scope import Asked

    check_format(form, None)
    raise typer.Exit(ask_all(recordings or [newest()], form, seconds(timeout), Asked(since, until, host, container)))
