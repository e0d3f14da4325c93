"""The thread that empties the rings and, once a second, writes down what was covered, what was lost, and what it all cost."""

from __future__ import annotations

import os
import resource
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recorder import clocks
from recorder.schema import NANOSECONDS
from recorder.writer import Chunk, Stream, Writer

# Records are submitted without a wake-up, but for one of some thousand: the drain looks by itself, often while there is something.
BUSY_SECONDS, IDLE_SECONDS = 0.050, 0.100
# Decoding has a price a chunk and a price a row: few rows wait this long for others.
GATHER_SECONDS = 0.2
# After the last probe is detached a program may still be at work on a record; it is done long before this many looks.
LAST_LOOKS = 100
# Where the pool is dry the disk is slow, and what is in the rings still has a chance: a minute without any progress.
LAST_DRY_LOOKS = 1_200


def interval(since_ns: int, until_ns: int, offset_ns: int) -> dict[str, Any]:
    """Return the columns that say which interval a row is of."""
    return {"ts": clocks.timestamp_us(since_ns, offset_ns), "ts_ns": since_ns, "interval_ns": until_ns - since_ns}


@dataclass(slots=True)
class Covered:
    """What is known of one table: its stream, its counters in the kernel, whether all of its probes are attached."""

    stream: Stream
    read_counters: Callable[[], tuple[int, int]]
    attached: bool
    urgent: bool = False
    """Rows wait for no others."""
    events: int = 0
    lost: int = 0
    moved: int = 0
    """Records moved out of the ring."""
    chunk: Chunk | None = None
    """The chunk that is being filled."""
    since: float = 0.0
    """When the first record went into it."""

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.stream.table

    @property
    def rows(self) -> int:
        """Rows in closed segments."""
        return self.stream.rows

    def row(self, common: dict[str, Any], events: int, lost: int) -> dict[str, Any]:
        """Return a row of the ``coverage`` table for the :func:`interval` ``common``."""
        own = {"tracer": self.stream.tracer, "table": self.stream.table, "attached": self.attached}
        return common | own | {"events": events, "lost": lost, "bytes": events * self.stream.ring.stride}


@dataclass(slots=True)
class Cost:
    """Reads what recording costs: this process from /proc and getrusage, the programs from the kernel."""

    run_statistics: Callable[[], dict[str, tuple[int, int]]]
    written_bytes: Callable[[], int]
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)
    _last_usage: tuple[int, int] = (0, 0)
    _last_written: int = 0

    def preparation(self, offset_ns: int, start_ns: int) -> list[dict[str, Any]]:
        """Return the rows of what it cost to get ready: from the start of this process to ``start_ns``."""
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        begin_ns = ticks * NANOSECONDS // os.sysconf("SC_CLK_TCK")
        return self.rows(interval(begin_ns, start_ns, offset_ns))

    def rows(self, common: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of the interval that ends now; ``common`` has its times."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        user, system = int(usage.ru_utime * NANOSECONDS), int(usage.ru_stime * NANOSECONDS)
        memory = _memory()
        written = self.written_bytes()
        own = {
            "cpu_user_ns": user - self._last_usage[0],
            "cpu_system_ns": system - self._last_usage[1],
            "rss_bytes": memory["VmRSS"],
            "rss_anon_bytes": memory["RssAnon"],
            "written_bytes": written - self._last_written,
        }
        self._last_usage, self._last_written = (user, system), written
        rows = [common | own]
        for program, (count, time_ns) in self.run_statistics().items():
            before = self._last.get(program, (0, 0))
            self._last[program] = count, time_ns
            rows.append(common | {"program": program, "run_count": count - before[0], "run_time_ns": time_ns - before[1]})
        return rows


def _memory() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[0] in ("VmRSS:", "RssAnon:")}


class Rings:
    """The rings of ``tables`` on their way into the chunks of ``writer``."""

    def __init__(self, tables: Sequence[Covered], writer: Writer) -> None:
        self.tables = tables
        self._writer = writer

    def empty(self) -> None:
        """Move all that is in the rings now to the writer, and have it decoded at once. Only for when there is no thread yet that would."""
        due = sum(table.stream.ring.pending() * table.stream.ring.stride for table in self.tables)
        while due > 0 and (moved := self.look()):
            due -= moved
            self.hand_all_over()
            self._writer.decode_waiting()

    def look(self) -> int:
        """Move what is in the rings into chunks, and full or waiting chunks to the writer; return how many bytes were moved."""
        total = 0
        for table in self.tables:
            # What came before this look, no more: chasing a busy ring record by record costs a core and gains nothing.
            due = table.stream.ring.pending() * table.stream.ring.stride
            while due > 0 and (size := self._fill(table)):
                due -= size
                total += size
            if table.chunk and (table.urgent or time.monotonic() - table.since >= GATHER_SECONDS):
                self._hand_over(table)
        return total

    def _fill(self, table: Covered) -> int:
        """Move records of ``table`` into its chunk; return how many bytes. 0: the next one is unfinished, or the writer is behind."""
        ring = table.stream.ring
        if table.chunk is None:
            try:
                table.chunk = self._writer.free.pop()
            except IndexError:  # the ring holds what it can, the kernel counts the rest
                return 0
            table.chunk.stream, table.chunk.size, table.since = table.stream, 0, time.monotonic()
        chunk = table.chunk
        size = ring.read_into(chunk.buffer[chunk.size :])
        chunk.size += size
        table.moved += size // ring.stride
        if chunk.buffer.size - chunk.size < ring.stride:
            self._hand_over(table)
        return size

    def hand_all_over(self) -> None:
        """Move the chunks that are being filled to the writer."""
        for table in self.tables:
            self._hand_over(table)

    def _hand_over(self, table: Covered) -> None:
        chunk, table.chunk = table.chunk, None
        if chunk is None:
            return
        if chunk.size:
            self._writer.put(chunk)
        else:
            self._writer.free.append(chunk)


def discard(tables: Sequence[Covered]) -> None:
    """Empty the rings of ``tables`` into nothing, for who only wants to know whether probes attach."""
    buffer = Chunk().buffer
    for table in tables:
        while table.stream.ring.read_into(buffer):
            pass


class Drain(threading.Thread):
    """Empties the rings of ``tables`` into ``writer`` until it is stopped and they are empty."""

    def __init__(self, tables: Sequence[Covered], writer: Writer, cost: Cost, offset_ns: int) -> None:
        super().__init__(name="bpftape-drain", daemon=True)
        self.tables = tables
        self.error: BaseException | None = None
        self._rings = Rings(tables, writer)
        self._writer = writer
        self._cost = cost
        self._offset_ns = offset_ns
        self._ending = threading.Event()
        self._stopping = threading.Event()
        self._since_ns = 0

    def begin(self, start_ns: int) -> None:
        """Start the thread; the first interval of coverage begins at ``start_ns``."""
        self._since_ns = start_ns
        self._writer.put_rows("cost", self._cost.preparation(self._offset_ns, start_ns))
        self.start()

    def begin_last_interval(self) -> None:
        """Sample no more until :meth:`finish`. Call it before the end's time is taken: detaching lasts, and no interval may begin behind the end."""
        self._ending.set()

    def finish(self, end_ns: int) -> None:
        """Empty the rings a last time, close coverage at ``end_ns``, and wait for the thread's end. Call it when the probes are detached."""
        self._ending.set()
        self._stopping.set()
        if self.ident is not None:
            self.join()
        self._sample(end_ns)

    def run(self) -> None:
        """Run the thread."""
        try:
            self._run()
        except BaseException as error:
            self.error = error

    def _run(self) -> None:
        # Edge-triggered: only a program's own wake-up counts, not that there is something in a ring (there always is).
        with select.epoll() as poll:
            for table in self.tables:
                poll.register(table.stream.ring.fd, select.EPOLLIN | select.EPOLLET)
            # What is there already comes from snapshots, and decoding it looks at /proc: not later than it must be.
            self._rings.look()
            self._rings.hand_all_over()
            looks = 0
            while looks < (LAST_LOOKS if self._writer.free else LAST_DRY_LOOKS):
                moved = self._rings.look()
                if self._stopping.is_set():
                    if not moved and not any(table.stream.ring.pending() for table in self.tables):
                        break
                    looks = 0 if moved else looks + 1
                now = clocks.boottime_ns()
                if now - self._since_ns >= NANOSECONDS and not self._ending.is_set():
                    self._sample(now)
                poll.poll(BUSY_SECONDS if moved or self._stopping.is_set() else IDLE_SECONDS)
        self._rings.hand_all_over()

    def _sample(self, now_ns: int) -> None:
        """Write down the interval that ends at ``now_ns``. It is longer than a second where this process was kept from running."""
        common = interval(self._since_ns, now_ns, self._offset_ns)
        coverage = []
        for table in self.tables:
            events, lost = table.read_counters()
            lost = max(lost, table.lost)  # what a stand-in is about to make up for may have been counted
            coverage.append(table.row(common, events - table.events, lost - table.lost))
            table.events, table.lost = events, lost
        self._since_ns = now_ns
        self._writer.put_rows("coverage", coverage)
        self._writer.put_rows("cost", self._cost.rows(common))
        self._writer.put_rows("clock", [asdict(clocks.snapshot())])
