"""The manifest of a recording's folder, its own and that of a merged one."""

from __future__ import annotations

import json

from analyzer import merged
from analyzer.errors import AnalyzerError
from analyzer.recording import has_changed, open_parts, open_recording
from recorder.schema import MANIFEST
from tests.fuzz.odd_json import mutate_lines
from tests.fuzz.target import Target, scratch
from tests.rows import read_rows, write_recording

PLACE = scratch()
ROWS = {name: rows for name, rows in read_rows().items() if name in ("exec", "recording", "coverage")}
FOLDER = write_recording(PLACE / "fuzzed.bpftape", ROWS)
SOUND = (FOLDER / MANIFEST).read_bytes()


def run(data: bytes) -> None:
    (FOLDER / MANIFEST).write_bytes(data)
    for opened in (open_recording, open_parts):
        try:
            found = opened(FOLDER)
        except AnalyzerError as error:
            caught = error
            continue
        for recording in found if isinstance(found, list) else [found]:
            assert recording.path.is_relative_to(FOLDER)
            assert all(segment.path.is_file() for segments in recording.tables.values() for segment in segments)
            str(recording.recorder).encode("utf-8", "backslashreplace")
            has_changed(recording)
        return
    raise caught


def seeds() -> list[bytes]:
    parts = [
        merged.Part(f"{number}", f"web{number}.bpftape", f"web{number}", 5, -5, 7, source, 3)
        for number, source in ((1, merged.Source.ITSELF), (2, merged.Source.CONNECTIONS))
    ]
    header = json.loads(SOUND.split(b"\n")[0])
    of_merged = json.dumps(header | merged.header(parts)).encode() + b"\n"
    shared = json.dumps(header | {"shared": {"policy": "standard", "kinds": {"address": "prefix"}, "columns": {}}}).encode()
    return [SOUND, shared + SOUND[SOUND.index(b"\n") :], of_merged]


# That the parts of the merged one are missing is as it should be.
TARGET = Target(
    run, lambda: seeds()[:2], words=(b'{"path": "exec/1.parquet"', b'"replaces": [', b"\n", b'"bytes": ', b"\xff"), mutate=mutate_lines, examples=60
)
