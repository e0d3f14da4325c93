"""What lies in a ring, of every table: the first byte chooses the table, the rest are its records, over and over."""

from __future__ import annotations

import numpy as np

from recorder.decode import Decoder, record_dtype
from recorder.schema import TABLES
from recorder.tracers import all_tracers
from tests.fuzz.target import Target
from tests.recorder.c_structs import event_structs

# The table process asks /proc as well, of which proc.py has the parsers.
KINDS = [(tracer, table) for tracer in all_tracers() for table in event_structs(tracer) if table not in ("process", "xdp_drop", "xdp_pass")]
DECODERS = [
    Decoder(TABLES[table], record_dtype(event_structs(tracer)[table]), -1_000, all_tracers()[tracer].tables(True)[table], 4)
    for tracer, table in KINDS
]


def run(data: bytes) -> None:
    decoder = DECODERS[data[0] % len(DECODERS)] if data else DECODERS[0]
    size = decoder.records(np.empty(0, np.uint8)).itemsize
    count = max(1, min(decoder.capacity, len(data) // size))
    raw = (data[1:] or b"\xff") * (count * size // max(len(data) - 1, 1) + 1)
    decoder.clear()
    decoder.append(decoder.records(np.frombuffer(raw[: count * size], np.uint8)))
    decoder.span_ns()
    decoder.flush().validate(full=True)


def seeds() -> list[bytes]:
    return [bytes([number]) + bytes(decoder.records(np.empty(0, np.uint8)).itemsize) for number, decoder in enumerate(DECODERS)]


TARGET = Target(run, seeds, words=(b"\xff\xff\xff\xff", b"\x00\x10\x00\x00", b"\x00\x02\x00\x00", b"\x01"), examples=120, longest=20_000)
