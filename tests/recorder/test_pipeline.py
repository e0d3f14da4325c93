"""From ring to disk without a kernel: drain and writer between rings that a test writes and a folder that it reads."""

from __future__ import annotations

import ctypes
import errno
import itertools
import mmap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder import clocks, drain
from recorder.decode import Decoder, record_dtype
from recorder.drain import Cost, Covered, Drain, Rings
from recorder.errors import Exit
from recorder.folder import RecordingFolder
from recorder.schema import TABLES
from recorder.segment import Segment
from recorder.tracers import all_tracers
from recorder.writer import Stream, Writer
from tests.recorder.c_structs import event_structs
from tests.recorder.fake_ring import FakeRing

TABLE = "exit"
STRUCT = event_structs("clone")[TABLE]


def payload(number: int) -> bytes:
    return bytes(STRUCT(ts_ns=1_000 + number, start_ns=1_000, pid=number, comm=b"odd" if number % 2 else b"even", status=(number & 0xFF) << 8))


@dataclass
class Pipeline:
    """Everything from the ring to the folder; ``made`` and ``lost`` are what the kernel would have counted."""

    ring: FakeRing
    folder: RecordingFolder
    writer: Writer
    drain: Drain
    covered: Covered
    failed: threading.Event
    start_ns: int
    made: int = 0
    lost: int = 0

    def put(self, number: int) -> None:
        """Make a record, as a program does that counts what it loses."""
        if self.ring.put(payload(number)):
            self.made += 1
        else:
            self.lost += 1

    def finish(self) -> int:
        end_ns = clocks.boottime_ns()
        self.drain.finish(end_ns)
        self.writer.finish()
        return end_ns

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table, by its files."""
        found = [pq.read_table(path) for path in sorted((self.folder.path / table).glob("*.parquet"))]
        rows: list[dict[str, Any]] = pa.concat_tables(found).to_pylist() if found else []
        return rows


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    dtype = record_dtype(STRUCT)
    ring = FakeRing(mmap.PAGESIZE * 4, ctypes.sizeof(STRUCT))
    folder = RecordingFolder(tmp_path / "r.bpftape")
    failed = threading.Event()
    writer = Writer(folder, 3_600, failed.set, None)
    stream = Stream("clone", ring.reader, Decoder(TABLES[TABLE], dtype, 0, all_tracers()["clone"].tables(True)[TABLE]))
    one = Pipeline(ring, folder, writer, None, None, failed, clocks.boottime_ns())  # type: ignore[arg-type]
    one.covered = Covered(stream, lambda: (one.made, one.lost), attached=True)
    one.drain = Drain([one.covered], writer, Cost(dict, lambda: folder.bytes), 0)
    yield one
    folder.close()
    ring.close()


def test_what_was_counted_as_lost_too_early_is_not_taken_back_but_made_up_for(pipeline: Pipeline) -> None:
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    told = []
    for lost in (0, 1, 0, 0, 2):
        pipeline.lost = lost
        pipeline.drain._sample(clocks.boottime_ns())
        told.append(pipeline.covered.lost)
    pipeline.finish()
    assert told == [0, 1, 1, 1, 2]
    assert [row["lost"] for row in pipeline.rows("coverage")] == [0, 1, 0, 0, 1, 0]


def test_all_that_was_made_is_written_in_order_and_counted(pipeline: Pipeline) -> None:
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    while pipeline.made < 10_007:
        assert pipeline.drain.is_alive(), pipeline.drain.error
        if pipeline.ring.put(payload(pipeline.made)):
            pipeline.made += 1
        else:
            time.sleep(0.001)  # the ring is full: the drain looks by itself
    end_ns = pipeline.finish()
    assert pipeline.drain.error is None
    assert pipeline.writer.failure is None
    rows = pipeline.rows(TABLE)
    assert [row["pid"] for row in rows] == list(range(10_007))
    assert [row["exit_code"] for row in rows] == [number & 0xFF for number in range(10_007)]
    coverage = pipeline.rows("coverage")
    assert sum(row["events"] for row in coverage) == 10_007
    assert sum(row["lost"] for row in coverage) == 0
    assert sum(row["bytes"] for row in coverage) == 10_007 * pipeline.ring.stride
    assert coverage[0]["ts_ns"] == pipeline.start_ns
    assert coverage[-1]["ts_ns"] + coverage[-1]["interval_ns"] == end_ns
    assert pipeline.covered.stream.rows == pipeline.covered.moved == 10_007


def test_what_is_moved_before_there_is_a_thread_comes_first_and_is_counted(pipeline: Pipeline) -> None:
    # More than the whole pool of chunks would hold, if none was decoded meanwhile.
    rings = Rings([pipeline.covered], pipeline.writer)
    pipeline.writer.free = type(pipeline.writer.free)(itertools.islice(pipeline.writer.free, 2))
    while pipeline.made < 1_003:
        if pipeline.ring.put(payload(pipeline.made)):
            pipeline.made += 1
        else:
            rings.empty()
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    pipeline.finish()
    assert [row["pid"] for row in pipeline.rows(TABLE)] == list(range(1_003))
    coverage = pipeline.rows("coverage")
    assert [sum(row[name] for row in coverage) for name in ("events", "lost")] == [1_003, 0]
    assert pipeline.covered.stream.rows == pipeline.covered.moved == 1_003


@pytest.mark.parametrize("urgent", [True, False])
def test_rows_of_an_urgent_table_wait_for_no_others(pipeline: Pipeline, urgent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "GATHER_SECONDS", 3_600.0)
    pipeline.covered.urgent = urgent
    pipeline.put(1)
    Rings([pipeline.covered], pipeline.writer).look()
    assert (pipeline.covered.chunk is None) == urgent


def test_rings_that_are_emptied_into_nothing_have_room_again(pipeline: Pipeline) -> None:
    for _ in range(3):
        while pipeline.ring.put(payload(0)):
            pass
        assert pipeline.ring.reader.pending() == pipeline.ring.reader.capacity
        drain.discard([pipeline.covered])
        assert pipeline.ring.reader.pending() == 0


def test_what_a_full_ring_loses_is_in_the_coverage(pipeline: Pipeline) -> None:
    for number in range(1_001):
        pipeline.put(number)
    assert pipeline.lost == 1_001 - pipeline.ring.reader.capacity
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    pipeline.finish()
    coverage = pipeline.rows("coverage")
    assert sum(row["events"] for row in coverage) == len(pipeline.rows(TABLE)) == pipeline.made
    assert sum(row["lost"] for row in coverage) == pipeline.lost
    assert pipeline.made + pipeline.lost == 1_001


def test_a_record_that_is_being_written_when_the_probes_are_detached_still_comes(pipeline: Pipeline) -> None:
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    pipeline.put(0)
    position = pipeline.ring.reserve()
    assert position is not None
    pipeline.made += 1
    pipeline.put(2)
    finisher = threading.Thread(target=pipeline.finish)
    finisher.start()
    while pipeline.ring.consumed == 0:
        assert pipeline.drain.is_alive(), pipeline.drain.error
        time.sleep(0.001)
    pipeline.ring.commit(position, payload(1))
    finisher.join()
    assert [row["pid"] for row in pipeline.rows(TABLE)] == [0, 1, 2]


def test_a_disk_that_refuses_ends_the_recording_and_leaves_no_half_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Segment) -> None:
        if self.path.startswith(TABLE):
            raise OSError(errno.ENOSPC, "No space left on device")
        finish(self)

    finish = Segment.finish
    monkeypatch.setattr(Segment, "finish", refuse)
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    for number in range(23):
        pipeline.put(number)
    pipeline.finish()
    assert pipeline.failed.is_set()
    failure = pipeline.writer.failure
    assert failure is not None
    assert failure.code == Exit.IO
    assert failure.message == f"{pipeline.folder.path}: No space left on device"
    assert pipeline.covered.stream.rows == 0
    assert list((pipeline.folder.path / TABLE).iterdir()) == []
    assert sum(row["events"] for row in pipeline.rows("coverage")) == 23
    pipeline.folder.write_rows(TABLES["clock"], [{"boottime_ns": 1, "monotonic_ns": 1, "realtime_ns": 1, "width_ns": 1}])


def test_the_pool_of_chunks_bounds_what_is_under_way(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LAST_DRY_LOOKS", 3)
    pipeline.writer.free.clear()
    pipeline.writer.start()
    pipeline.drain.begin(pipeline.start_ns)
    for number in range(pipeline.ring.reader.capacity + 5):
        pipeline.put(number)
    assert pipeline.lost == 5
    assert pipeline.ring.reader.pending() == pipeline.ring.reader.capacity, "with no chunk to fill, records stay in the ring"
    assert pipeline.covered.moved == 0
    pipeline.finish()
    assert sum(row["lost"] for row in pipeline.rows("coverage")) == pipeline.lost
