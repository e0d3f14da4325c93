"""The threads behind the drain: one decodes chunks of ring bytes into segments, one waits for the disk.

One direction, one owner a stage: the drain fills chunks from a fixed pool, :class:`Writer` decodes them and gives them back,
:class:`Sealer` makes finished segments durable and keeps the manifest. When the disk is too slow the pool runs dry, the rings fill up,
and the kernel counts what it loses: memory does not grow.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from recorder.decode import Block, Decoder
from recorder.errors import Exit, RecorderError
from recorder.folder import RecordingFolder
from recorder.ring import Bytes, Ring
from recorder.schema import TABLES
from recorder.segment import Segment

CHUNK_BYTES = 1 << 20
CHUNKS = 96
SEGMENT_ROWS = 1_000_000
# Finished segments that may wait for the disk before decoding waits too.
_UNSEALED = 8
_IDLE_SECONDS = 0.25

Row = Mapping[str, Any]


@dataclass(slots=True)
class Stream:
    """One table on its way from ring to disk. ``rows`` belongs to the sealer, the rest to the decoding thread."""

    tracer: str
    ring: Ring
    decoder: Decoder
    segment: Segment | None = None
    opened: float = 0.0
    rows: int = 0
    """Rows in sealed segments."""

    @property
    def table(self) -> str:
        """Name of the table."""
        return self.decoder.table.name


@dataclass(slots=True)
class Chunk:
    """A piece of the pool: ring bytes of one stream."""

    buffer: Bytes = field(default_factory=lambda: np.empty(CHUNK_BYTES, np.uint8))
    size: int = 0
    stream: Stream | None = None


class Failure:
    """The first thing that went wrong with the disk, if any. Told to whoever waits for the recording's end."""

    def __init__(self, folder: RecordingFolder, tell: Callable[[], None]) -> None:
        self.error: RecorderError | None = None
        self._folder = folder
        self._tell = tell
        self._lock = threading.Lock()

    def set(self, error: Exception) -> None:
        """Note ``error`` unless there was one before; make room for the last words."""
        with self._lock:
            if self.error is not None:
                return
            if isinstance(error, OSError):
                self.error = RecorderError(f"{self._folder.path}: {error.strerror or error}", "what was closed before stays readable", Exit.IO)
            else:
                self.error = RecorderError(f"writing failed: {error!r}", "this is a defect of bpftape: please report it", Exit.IO)
        try:
            self._folder.release_reserve()
        finally:
            self._tell()


class Sealer(threading.Thread):
    """Makes segments durable, in the order in which they were finished, and writes the recorder's own tables."""

    def __init__(self, folder: RecordingFolder, failure: Failure) -> None:
        super().__init__(name="bpftape-seal", daemon=True)
        self._folder = folder
        self._failure = failure
        self._inbox: queue.Queue[tuple[Stream, Segment] | dict[str, list[Row]] | None] = queue.Queue(_UNSEALED)

    def put(self, item: tuple[Stream, Segment] | dict[str, list[Row]] | None) -> None:
        """Hand over a finished segment, rows of own tables, or None for the end; wait while too much is under way."""
        self._inbox.put(item)

    def run(self) -> None:
        """Run the thread."""
        while (item := self._inbox.get()) is not None:
            if isinstance(item, dict):
                for table, rows in item.items():
                    action = partial(self._folder.write_rows, TABLES[table], rows)
                    # A first failure gives the reserved space back, so that what is known of the losses still finds room.
                    if not self._guard(action):
                        self._guard(action)
            else:
                stream, segment = item
                if self._guard(segment.seal):
                    stream.rows += segment.rows
                else:
                    segment.abandon()

    def _guard(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:
            self._failure.set(error)
            return False
        return True


class Writer(threading.Thread):
    """Decodes and writes until it is told to finish. :attr:`failure` says when the disk refused; from then on nothing is decoded."""

    def __init__(
        self,
        folder: RecordingFolder,
        segment_seconds: float,
        on_failure: Callable[[], None],
        on_block: Callable[[Stream, Block], None] | None,
    ) -> None:
        super().__init__(name="bpftape-write", daemon=True)
        # Taken and given back at the same end: the chunk used last is still in the CPU's cache.
        self.free: deque[Chunk] = deque(Chunk() for _ in range(CHUNKS))
        self._failure = Failure(folder, on_failure)
        self._sealer = Sealer(folder, self._failure)
        self._inbox: queue.SimpleQueue[Chunk | tuple[str, Sequence[Row]] | None] = queue.SimpleQueue()
        self._folder = folder
        self._segment_seconds = segment_seconds
        self._on_block = on_block
        self._streams: list[Stream] = []
        self._own_rows: dict[str, list[Row]] = {}
        self._own_handed = time.monotonic()

    @property
    def failure(self) -> RecorderError | None:
        """What went wrong with the disk, or None."""
        return self._failure.error

    def put(self, chunk: Chunk) -> None:
        """Take a filled chunk over; it comes back through :attr:`free`."""
        self._inbox.put(chunk)

    def put_rows(self, table: str, rows: Sequence[Row]) -> None:
        """Take rows of one of the recorder's own tables over."""
        self._inbox.put((table, rows))

    def decode_waiting(self) -> None:
        """Decode the chunks that were handed over so far, in the caller's thread. Only before :meth:`start`."""
        while not self._inbox.empty():
            chunk = self._inbox.get()
            assert isinstance(chunk, Chunk)
            self._take(chunk)

    def start(self) -> None:
        """Start both threads."""
        self._sealer.start()
        super().start()

    def finish(self) -> None:
        """Write all that was handed over, seal every segment, and wait for the threads' end."""
        if self.ident is None:
            return
        self._inbox.put(None)
        self.join()
        self._sealer.put(None)
        self._sealer.join()

    def run(self) -> None:
        """Run the thread."""
        while True:
            try:
                item = self._inbox.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                pass
            else:
                if item is None:
                    break
                if isinstance(item, Chunk):
                    self._take(item)
                else:
                    self._keep(*item)
            self._rotate()
        for stream in self._streams:
            self._guard(stream, self._finish)
        self._hand_own_rows()

    def _keep(self, table: str, rows: Sequence[Row]) -> None:
        if TABLES[table].rewritten:  # they take the place of all before
            self._own_rows[table] = list(rows)
        else:
            self._own_rows.setdefault(table, []).extend(rows)

    def _take(self, chunk: Chunk) -> None:
        stream = chunk.stream
        assert stream is not None
        if stream not in self._streams:
            self._streams.append(stream)
        self._guard(stream, lambda stream: self._decode(stream, chunk))
        chunk.stream = None
        self.free.append(chunk)

    def _decode(self, stream: Stream, chunk: Chunk) -> None:
        block = stream.decoder.records(chunk.buffer[: chunk.size])
        if self._on_block:
            self._on_block(stream, block)
        while len(block):
            block = block[stream.decoder.append(block) :]
            if not stream.opened:
                stream.opened = time.monotonic()
            if stream.decoder.full:
                self._write(stream)

    def _write(self, stream: Stream) -> None:
        """Move what the decoder gathered into the open segment."""
        if not stream.decoder.rows:
            return
        span_ns = stream.decoder.span_ns()
        if stream.segment is None:
            stream.segment = self._folder.segment(stream.decoder.table)
        stream.segment.write(stream.decoder.flush(), span_ns)

    def _finish(self, stream: Stream) -> None:
        self._write(stream)
        stream.opened = 0.0
        if stream.segment:
            stream.segment.finish()
            segment, stream.segment = stream.segment, None
            self._sealer.put((stream, segment))

    def _guard(self, stream: Stream, action: Callable[[Stream], None]) -> None:
        """Do ``action``, unless the recording has failed; when it fails now, begin the end of the recording."""
        if self.failure is None:
            try:
                action(stream)
                return
            except Exception as error:
                self._failure.set(error)
        # What is open cannot be finished: those rows are lost, and counted as such when the recording ends.
        if stream.segment:
            stream.segment.abandon()
            stream.segment = None
        stream.decoder.clear()
        stream.opened = 0.0

    def _rotate(self) -> None:
        now = time.monotonic()
        for stream in self._streams:
            due = stream.opened and now - stream.opened >= self._segment_seconds
            if due or (stream.segment and stream.segment.rows >= SEGMENT_ROWS):
                self._guard(stream, self._finish)
        if now - self._own_handed >= self._segment_seconds:
            self._hand_own_rows()

    def _hand_own_rows(self) -> None:
        self._own_handed = time.monotonic()
        if self._own_rows:
            self._sealer.put(self._own_rows)
            self._own_rows = {}
