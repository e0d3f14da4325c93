"""The drain's intervals at the end of a recording: none begins behind the end, however long detaching lasts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from recorder import clocks
from recorder.drain import Cost, Drain
from recorder.schema import NANOSECONDS
from recorder.writer import Writer

START_NS = 1_000 * NANOSECONDS


class RowsOnly:
    """Stands for the writer: keeps the rows that it is given, by table."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.sampled = threading.Event()
        self.free = [object()]

    def put_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        self.rows.setdefault(table, []).extend(rows)
        if table == "clock":  # the last one of a sample
            self.sampled.set()


def test_intervals_add_up_to_the_recording_when_detaching_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RowsOnly()
    drain = Drain([], cast("Writer", writer), Cost(dict, lambda: 0), 0)
    now, looked = {"ns": START_NS}, threading.Semaphore(0)

    def boottime_ns() -> int:
        looked.release()
        return now["ns"]

    monkeypatch.setattr(clocks, "boottime_ns", boottime_ns)
    drain.begin(START_NS)
    now["ns"] += NANOSECONDS
    assert writer.sampled.wait(10)

    drain.begin_last_interval()
    end_ns = now["ns"] + NANOSECONDS // 2
    now["ns"] = end_ns + 5 * NANOSECONDS  # detaching
    while looked.acquire(blocking=False):
        pass
    for _ in range(3):  # the drain goes on looking meanwhile, and has read the later time
        assert looked.acquire(timeout=10)
    drain.finish(end_ns)

    assert drain.error is None
    _preparation, *rows = writer.rows["cost"]
    intervals = [(row["ts_ns"], row["interval_ns"]) for row in rows]
    assert intervals == [(START_NS, NANOSECONDS), (START_NS + NANOSECONDS, NANOSECONDS // 2)]
    for (begin, length), (following, _) in itertools.pairwise(intervals):
        assert begin + length == following
