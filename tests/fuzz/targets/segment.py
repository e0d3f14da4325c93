"""A Parquet file of a stranger, read by reports: the manifest knows its size and the rows that were written, the file itself may say anything."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from analyzer.errors import AnalyzerError
from analyzer.manifest import Segment
from analyzer.recording import check_size, open_recording
from analyzer.sandbox import Sandbox
from recorder.schema import MANIFEST, TABLES
from tests.fuzz.footer import mutate_parquet
from tests.fuzz.target import Target, scratch
from tests.rows import read_rows, write_recording

# One sandbox for all inputs, since opening one takes longer than all that is tested here. Each input gets another file than the ones before it, or
# DuckDB would know that one's footer.
FILES = 64
KINDS = ("exec", "coverage", "tcp_connect", "recording")
FOLDER = write_recording(scratch() / "fuzzed.bpftape", {kind: read_rows()[kind] for kind in KINDS})
SOUND = open_recording(FOLDER)
ROWS = {kind: SOUND.tables[kind][0].rows for kind in KINDS}
SLOTS = {kind: [Segment(kind, FOLDER / kind / f"{number:06}.parquet", ROWS[kind], 0) for number in range(FILES)] for kind in KINDS}
SANDBOX = Sandbox([replace(SOUND, tables=SLOTS)], 5)
NEXT = itertools.cycle(range(FILES))
# All of it; what footers alone answer; what statistics leave out.
SQL = ("SELECT * FROM {table}", "SELECT count(*) FROM {table}", "SELECT count(*), min({column}) FROM {table} WHERE {column} > 5")
COLUMNS = {kind: next(column.name for column in TABLES[kind].columns if column.type.name == "INT64") for kind in KINDS}


def table_of(data: bytes) -> str:
    """Return the table that a file says it is of."""
    found = re.search(rb"bpftape\.table.{0,4}?(" + "|".join(KINDS).encode() + rb")", data, re.DOTALL)
    return found[1].decode() if found else KINDS[0]


def run(data: bytes) -> None:
    table = table_of(data)
    slot = SLOTS[table][next(NEXT)]
    slot.path.write_bytes(data)
    segment = replace(slot, bytes=len(data))
    check_size(SOUND.store, segment)
    SANDBOX.recordings = [replace(SOUND, tables={table: [segment]})]
    for name in KINDS:
        SANDBOX.rows(f"DROP VIEW IF EXISTS {name}", [])
    SANDBOX._views.clear()
    failed = None
    for sql in SQL:
        try:
            statement = SANDBOX.prepare(sql.format(table=table, column=COLUMNS[table]), "fuzzed")
            rows = [row for batch in SANDBOX.execute(statement, "fuzzed").batches for row in batch]
        except AnalyzerError as error:
            failed = error
            continue
        assert sql != SQL[1] or rows == [(ROWS[table],)], "count(*) is not what the manifest says"
    slot.path.unlink()
    if failed:
        raise failed


def seeds() -> list[bytes]:
    return [files[kind] for kind in KINDS]


files = {kind: (FOLDER / kind / "000000.parquet").read_bytes() for kind in KINDS}
assert (FOLDER / MANIFEST).is_file()

TARGET = Target(run, seeds, mutate=mutate_parquet, examples=40, longest=40_000)
