"""What tracers make of records that a test fills in."""

from __future__ import annotations

from typing import Any

import numpy as np

from recorder.decode import Coded, category, record_dtype
from recorder.tracers import all_tracers
from tests.recorder.c_structs import event_structs


def derived_columns(tracer: str, table: str, rows: list[dict[str, Any]], argv: bool = True) -> dict[str, list[Any]]:
    """Return the derived columns of records with these fields; all bytes of a field that are not given are 0xFF, as old ring memory may be."""
    dtype = record_dtype(event_structs(tracer)[table])
    block = np.frombuffer(b"\xff" * dtype.itemsize * len(rows), dtype).copy()
    for number, row in enumerate(rows):
        for name, value in row.items():
            if isinstance(value, bytes) and block[name].ndim > 1:
                block[name][number][: len(value)] = np.frombuffer(value, np.uint8)
            else:
                block[name][number] = value
    columns = {}
    for name, how in all_tracers()[tracer].tables(argv)[table].items():
        array = category(block[how.field], how.word) if isinstance(how, Coded) else how(block)
        array.validate(full=True)
        columns[name] = array.to_pylist()
    return columns
