"""``bpftape replay``."""

from __future__ import annotations

from typing import Annotated

import typer

from analyzer.options import Container, Host, Json, RecordingOrNewest, Since, Until, complete_table

EXAMPLES = {
    "What the host did, as it did it": "bpftape replay web1_20261123T041100Z.bpftape",
    "All connects of one program, at once": "bpftape replay --speed max --table tcp_connect --where \"comm = 'nginx'\"",
    "Ten times as fast, from the second minute on": "bpftape replay --speed 10 --since 60s",
}


def replay(
    recording: RecordingOrNewest = None,
    speed: Annotated[str, typer.Option("--speed", metavar="FACTOR", help="How much faster than it was: 10, 0.5; max: as fast as can be.")] = "1",
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="TABLE", help="Only these events; can be given more than once.", autocompletion=complete_table),
    ] = None,
    where: Annotated[str | None, typer.Option("--where", metavar="CONDITION", help="Only rows of which this SQL condition holds.")] = None,
    since: Since = None,
    until: Until = None,
    host: Host = None,
    container: Container = None,
    json: Json = False,
) -> None:
    """Show the events of a recording as lines, in order and in their own time, as record --print showed them; of a merged one, those of all hosts."""
    from analyzer.confinement import confine
    from analyzer.replay import Request
    from analyzer.replay import replay as play
    from analyzer.run import newest
    from analyzer.scope import Asked

    path = recording or newest()
    confine([path])
    play(Request(path, speed, table or (), where, json, Asked(since, until, host, container)))
