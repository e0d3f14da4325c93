"""``record --print``: events as lines while they come, as the classic tools show them.

Lines are for reading along. They are made on a thread of their own, behind a bounded queue: a terminal that is too slow loses lines, which
is said, and never rows of the recording.
"""

from __future__ import annotations

import bisect
import queue
import threading
from contextlib import suppress
from typing import TextIO

from analyzer.lines import DETAILS, header, line
from recorder.clocks import boottime_ns
from recorder.decode import Block, Decoder
from recorder.schema import NANOSECONDS
from recorder.writer import Stream

_BLOCKS = 256
_BLOCK_ROWS = 4_096
# Tables come in chunks of their own, up to a fifth of a second late: lines wait this long to be put in order.
_ORDER_NS = NANOSECONDS // 2
_LOOK_SECONDS = 0.1
_LAST_SECONDS = 5.0


class Printer(threading.Thread):
    """Prints the rows of the tables that have a form as lines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(name="bpftape-print", daemon=True)
        self.dropped = 0
        self._stream = stream
        self._queue: queue.Queue[tuple[Stream, Block] | None] = queue.Queue(_BLOCKS)
        self._decoders: dict[str, Decoder] = {}
        self._broken = False

    def take(self, stream: Stream, block: Block) -> None:
        """Take a copy of ``block``; drop and count it when printing is behind."""
        if stream.table not in DETAILS or self._broken:
            return
        for start in range(0, len(block), _BLOCK_ROWS):
            part = block[start : start + _BLOCK_ROWS]
            try:
                self._queue.put_nowait((stream, part.copy()))
            except queue.Full:
                self.dropped += len(part)

    def finish(self) -> None:
        """Print what is left, unless nobody takes it: a terminal that stands still keeps no recording from its end."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_LAST_SECONDS)
        self.join(timeout=_LAST_SECONDS)

    def run(self) -> None:
        """Run the thread."""
        self._write([header()])
        held: list[tuple[int, str]] = []
        running = True
        while running:
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
                running = item is not None
                held += self._lines(item) if item else []
            except queue.Empty:
                pass
            held.sort()
            ready = bisect.bisect(held, (boottime_ns() - _ORDER_NS, "")) if running else len(held)
            if ready:
                self._write([text for _, text in held[:ready]])
                del held[:ready]

    def _lines(self, item: tuple[Stream, Block]) -> list[tuple[int, str]]:
        stream, block = item
        decoder = self._decoders.get(stream.table)
        if decoder is None:
            decoder = self._decoders[stream.table] = stream.decoder.like(_BLOCK_ROWS)
        decoder.append(block)
        return [(row["ts_ns"], line(stream.table, row)) for row in decoder.flush().to_pylist()]

    def _write(self, lines: list[str]) -> None:
        if self._broken:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader has seen enough, or its disk is full; the recording goes on
            self._broken = True
