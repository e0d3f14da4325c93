"""``bpftape doctor``."""

from __future__ import annotations

import sys

import typer

from analyzer.options import Json
from analyzer.tell import tell
from analyzer.text import printable

EXAMPLES = {"What this host lacks, as the user who will record": "sudo bpftape doctor", "For a script": "bpftape doctor --json"}


def doctor(json: Json = False) -> None:
    """Say whether this host can record, and what to do where it cannot. With root it loads and attaches every program, and leaves nothing behind.

    Exits with 0 when the host can record, 70 when BPF cannot work on it, and 77 when only privileges are missing.
    """
    from recorder.doctor import as_json, as_text, examine, summary, verdict
    from recorder.doctor.check import Status

    checks = examine()
    lines = [(status, printable(line)) for status, line in as_text(checks)]
    if sys.stdout.isatty() and not json:
        from rich.console import Console
        from rich.text import Text

        colours = {Status.OK: "green", Status.MISSING: "bold red", Status.NOTE: "yellow"}
        console = Console()
        for status, line in lines:
            text = Text(line)
            text.stylize(colours[status], 0, len(status))
            console.print(text, soft_wrap=True)
        console.print(Text(summary(checks)), style="bold", soft_wrap=True)
    else:
        tell(json, lambda: as_json(checks), lambda: "\n".join([*(line for _, line in lines), summary(checks)]))
    raise typer.Exit(int(verdict(checks)))
