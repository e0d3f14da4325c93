"""``bpftape diff``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer.options import Format, Json

EXAMPLES = {
    "What has changed since last week": "bpftape diff lastweek.bpftape today.bpftape",
    "Only where programs connect to, for a review": "bpftape diff a.bpftape b.bpftape --only destinations --format md",
    "Everything that was compared, for a script": "bpftape diff a.bpftape b.bpftape --all --json | jq '.rows[] | select(.certain)'",
}


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="The recording from before.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="The recording to compare with it.", show_default=False)],
    form: Format = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ASPECT", help="Compare only this; can be given more than once.")] = None,
    times: Annotated[float, typer.Option("--times", help="Smallest change of a rate or latency that counts.")] = 1.5,
    p: Annotated[float, typer.Option("--p", help="Largest probability that a change of a rate or latency is chance.")] = 0.01,
    everything: Annotated[bool, typer.Option("--all", help="Show what is the same, too.")] = False,
    each_port: Annotated[bool, typer.Option("--each-port", help="Tell ephemeral ports (32768 to 65535) one by one.")] = False,
    json: Json = False,
) -> None:
    """Show what is new, gone or changed in one recording compared with another: programs, who starts them, destinations, failures, latencies.

    Rates are by the minute that was recorded. What a recording lost, or was not asked for, is not new in the other one: it is said to be uncertain,
    or not compared.

    Ephemeral ports, those from 32768 on, that only one of both has are one line by program and address, since many of them are others each time. One
    that both have, or that somebody listens on in both, is a line of its own.
    """
    from analyzer.diff.run import Request
    from analyzer.diff.run import diff as show
    from analyzer.run import json_format

    show(Request(a, b, json_format(json, form), output, only or (), times, p, everything, each_port))
