"""A Parquet file of a stranger whose checksum is right, as verify, recover and share read it: with pyarrow."""

from __future__ import annotations

import contextlib
import hashlib

from analyzer.errors import AnalyzerError
from analyzer.manifest import Segment
from analyzer.recording import open_recording
from analyzer.segment_check import check_segment
from analyzer.share.source import batches
from analyzer.store import FolderStore
from analyzer.verify import check_all, read_facts
from recorder.recover import _header, _whole
from recorder.schema import MANIFEST, TABLES
from tests.fuzz.footer import mutate_parquet
from tests.fuzz.target import Target, scratch
from tests.fuzz.targets.segment import KINDS, files, table_of
from tests.rows import read_rows, write_recording

FOLDER = write_recording(scratch() / "fuzzed.bpftape", {kind: read_rows()[kind] for kind in KINDS})
OPENED = open_recording(FOLDER)
SOUND = {kind: segments[0] for kind, segments in OPENED.tables.items()}
RECORDING = OPENED.id
STORE = FolderStore(FOLDER)


def run(data: bytes) -> None:
    table = table_of(data)
    sound = SOUND[table]
    sound.path.write_bytes(data)
    try:
        digest = hashlib.sha256(data).hexdigest()
        segment = Segment(table, sound.path, sound.rows, len(data), digest, sound.first_ts_ns, sound.last_ts_ns)
        checked = check_segment(STORE, segment, RECORDING, lambda _: None, decode=True)
        assert checked.faults or checked.rows == sound.rows
        check_segment(STORE, Segment(table, sound.path, sound.rows, len(data) + 1), RECORDING, lambda _: None)
        _whole(STORE, sound.name, table, RECORDING, lambda _: None)
        with contextlib.suppress(AnalyzerError):
            _header(STORE)
        with contextlib.suppress(AnalyzerError):
            list(batches(OPENED, segment, TABLES[table]))
        believed = check_all(STORE, [segment], RECORDING, lambda _: None)
        read_facts(STORE, [each for each, result in believed.items() if not result.faults])
    finally:
        sound.path.write_bytes(files[table])


assert (FOLDER / MANIFEST).is_file()

TARGET = Target(run, lambda: [files[kind] for kind in KINDS], mutate=mutate_parquet, examples=40, longest=40_000)
