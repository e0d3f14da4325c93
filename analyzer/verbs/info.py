"""``bpftape info``."""

from __future__ import annotations

from analyzer.options import Json, RecordingOrNewest

EXAMPLES = {
    "The newest recording in this folder": "bpftape info",
    "Its end, for a script": "bpftape info --json web1_20261123T041100Z.bpftape | jq .end_reason",
}


def info(recording: RecordingOrNewest = None, json: Json = False) -> None:
    """Show what a recording is: host, window, tables, losses, probes, and what recording cost. Of a merged one: its parts, and their clocks."""
    from analyzer.confinement import confine
    from analyzer.info import as_json, as_text, gather
    from analyzer.merge.summary import as_json as parts_json
    from analyzer.merge.summary import as_text as parts_text
    from analyzer.merge.summary import is_merged
    from analyzer.recording import open_recordings
    from analyzer.run import newest
    from analyzer.sandbox import open_sandbox
    from analyzer.tell import tell

    recordings = open_recordings([recording or newest()])
    if is_merged(recordings):
        tell(json, lambda: parts_json(recordings), lambda: parts_text(recordings))
        return
    confine([opened.path for opened in recordings])
    with open_sandbox(recordings) as sandbox:
        found = gather(sandbox)
    tell(json, lambda: as_json(found), lambda: as_text(found))
