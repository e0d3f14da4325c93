"""``bpftape info``."""

from __future__ import annotations

from analyzer.options import Json, RecordingOrNewest

EXAMPLES = {
    "The newest recording in this folder": "bpftape info",
    "Its end, for a script": "bpftape info --json web1_20261123T041100Z.bpftape | jq .end_reason",
}


def info(recording: RecordingOrNewest = None, json: Json = False) -> None:
    """Show what a recording is: host, window, tables, losses, probes, and what recording cost."""
    from analyzer.confinement import confine
    from analyzer.info import as_json, as_text, gather
    from analyzer.output import say
    from analyzer.recording import open_recording
    from analyzer.run import newest
    from analyzer.sandbox import open_sandbox

    opened = open_recording(recording or newest())
    confine([opened.path])
    with open_sandbox([opened]) as sandbox:
        found = gather(sandbox)
    if json:
        from json import dumps

        say(dumps(as_json(found), indent=2))
    else:
        say(as_text(found))
