"""A second source of rows beside the rings: counts that programs keep in maps, read every 200 ms.

The thread here also keeps the window of ``--drop-after`` and ``--drop-for``: nothing is dropped before it, and nothing behind it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer.libc import libc
from recorder import clocks
from recorder.drain import interval
from recorder.errors import RecorderError
from recorder.schema import NANOSECONDS
from recorder.tracers.xdp import TABLES, Count, Counts, Dropper, Kind

EVERY_NS = NANOSECONDS // 5
_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_GRACE_SECONDS = 0.05

Row = dict[str, Any]
TRACER = "xdp"


@dataclass(slots=True)
class Sampled:
    """What is known of one table: rows made, and packets that are in none of them. Like :class:`recorder.drain.Covered`."""

    name: str
    written: Callable[[str], int]
    attached: bool = True
    """All is as it was asked for: dropped in the window, on each interface, and not outside of it."""
    events: int = 0
    lost: int = 0
    _events_told: int = 0
    _lost_told: int = 0

    @property
    def moved(self) -> int:
        """Rows made so far."""
        return self.events

    @property
    def rows(self) -> int:
        """Rows in closed segments."""
        return self.written(self.name)

    def row(self, common: Row, events: int, lost: int) -> Row:
        """Return a row of the ``coverage`` table for the :func:`interval` ``common``."""
        return common | {"tracer": TRACER, "table": self.name, "attached": self.attached, "events": events, "lost": lost, "bytes": 0}

    def next_row(self, common: Row) -> Row:
        """Return such a row of what came since the last one."""
        row = self.row(common, self.events - self._events_told, self.lost - self._lost_told)
        self._events_told, self._lost_told = self.events, self.lost
        return row


@dataclass(slots=True)
class _Source:
    """One interface: its program, its row of the ``probe`` table, and what was counted up to the last sample."""

    dropper: Dropper
    since_ns: int
    probe: Row
    last: Counts = field(default_factory=Counts)
    gone: bool = False

    def sample(self, now_ns: int, offset_ns: int) -> tuple[list[Row], list[Row], int]:
        """Return the rows of ``xdp_drop`` and ``xdp_pass`` since the last sample, and how many packets are in none of them."""
        counts = self.dropper.read()
        common = interval(self.since_ns, now_ns, offset_ns) | {"interface": self.dropper.interface.name}
        drops = []
        for kind, count in sorted(counts.dropped.items(), key=lambda item: (item[0].rule, item[0].type or -1, item[0].code or -1)):
            packets, size = _since(count, self.last.dropped.get(kind, (0, 0)))
            if packets:
                drops.append(common | self._kind(kind) | {"mode": self.dropper.mode, "packets": packets, "bytes": size})
        packets, size = _since(counts.passed, self.last.passed)
        passes = [common | {"packets": packets, "bytes": size}] if packets else []
        lost = counts.uncounted - self.last.uncounted
        self.last, self.since_ns = counts, now_ns
        return drops, passes, lost

    def _kind(self, kind: Kind) -> Row:
        rule = self.dropper.rules[kind.rule]
        return {"rule": str(rule), "protocol": rule.protocol, "type": kind.type, "code": kind.code}


def _since(count: Count, before: Count) -> Count:
    return count[0] - before[0], count[1] - before[1]


def await_running_programs() -> None:
    """Wait until no CPU runs a program any more that was detached before: membarrier(2) waits for a grace period of RCU."""
    import platform

    number = _MEMBARRIER.get(platform.machine())
    if number is None or libc().syscall(number, 1, 0) != 0:
        time.sleep(_GRACE_SECONDS)


class Samples(threading.Thread):
    """Attaches ``droppers`` for their window, samples them, and says what was covered. ``put_rows`` takes (table, rows)."""

    def __init__(
        self,
        droppers: Sequence[Dropper],
        window: tuple[float, float | None],
        offset_ns: int,
        probes: list[Row],
        written: Callable[[str], int],
    ) -> None:
        super().__init__(name="bpftape-samples", daemon=True)
        self.error: BaseException | None = None
        self.failure: RecorderError | None = None
        """Why dropping could not begin when its time had come."""
        self.notes: list[str] = []
        self.tables = [Sampled(name, written) for name in TABLES] if droppers else []
        self._droppers = droppers
        self._after_ns, self._length_ns = (None if seconds is None else int(seconds * NANOSECONDS) for seconds in window)
        self._offset_ns = offset_ns
        self._probes = probes
        self._sources: list[_Source] = []
        self._put_rows: Callable[[str, list[Row]], None] = lambda _table, _rows: None
        self._on_change: Callable[[], None] = lambda: None
        self._stopping = threading.Event()
        self._is_open = False
        self._opened_ns: int | None = None
        self._covered_ns = 0
        self._start_ns = 0

    @property
    def dropped(self) -> dict[str, int]:
        """Packets dropped so far, by rule and interface as the user writes them."""
        found = {}
        for source in self._sources:
            for number, rule in enumerate(source.dropper.rules):
                count = sum(packets for kind, (packets, _) in source.last.dropped.items() if kind.rule == number)
                found[f"{rule}@{source.dropper.interface.name}" + (", which has gone" if source.gone else "")] = count
        return found

    def attach_first(self) -> None:
        """Begin to drop where that is not to wait for anything. Raise RecorderError where it cannot be done, with nothing attached."""
        if self._droppers and not self._after_ns:
            self._attach()

    @property
    def waits(self) -> bool:
        """Whether something is still to be attached."""
        return bool(self._droppers) and self._opened_ns is None

    def begin(self, start_ns: int, put_rows: Callable[[str, list[Row]], None], on_change: Callable[[], None]) -> None:
        """Start the thread; ``on_change`` is called when something was attached or detached, or failed."""
        self._start_ns = self._covered_ns = start_ns
        self._put_rows, self._on_change = put_rows, on_change
        for source in self._sources:  # what came before the start is in an interval of its own
            self._put(source, clocks.boottime_ns())
        if self._droppers:
            self.start()

    def detach(self) -> None:
        """End the thread, and take every program off."""
        self._stopping.set()
        if self.ident is not None:
            self.join()
        for source in self._sources:
            self._take_off(source)

    def finish(self, end_ns: int) -> None:
        """Sample a last time, when nothing is attached any more, and close coverage at ``end_ns``."""
        if not self._droppers:
            return
        self._sample_detached()
        self._cover(end_ns)

    def run(self) -> None:
        """Run the thread."""
        try:
            while not self._stopping.wait(self._pause()):
                self._step(clocks.boottime_ns())
        except RecorderError as error:
            self.failure = error
            self._on_change()
        except BaseException as error:
            self.error = error
            self._on_change()

    def _ends_ns(self) -> int | None:
        return None if self._opened_ns is None or self._length_ns is None else self._opened_ns + self._length_ns

    def _pause(self) -> float:
        """Return for how many seconds there is nothing to do."""
        now = clocks.boottime_ns()
        due = [self._covered_ns + NANOSECONDS]
        due += [source.since_ns + EVERY_NS for source in self._sources if source.dropper.is_attached()]
        if self._opened_ns is None:
            due.append(self._start_ns + (self._after_ns or 0))
        elif self._is_open and (ends_ns := self._ends_ns()):
            due.append(ends_ns)
        return max(0, min(due) - now) / NANOSECONDS

    def _step(self, now_ns: int) -> None:
        if self._opened_ns is None and now_ns >= self._start_ns + (self._after_ns or 0):
            self._cover(now_ns)
            self._attach()
            self._on_change()
        ends_ns = self._ends_ns()
        if self._is_open and ends_ns is not None and now_ns >= ends_ns:
            self._close_window()
        for source in self._sources:
            if not source.gone and source.probe["detached_ns"] is None and not source.dropper.is_attached():
                self._lose(source)
            if source.dropper.is_attached() and now_ns >= source.since_ns + EVERY_NS:
                self._put(source, clocks.boottime_ns())
        if now_ns - self._covered_ns >= NANOSECONDS:
            self._cover(now_ns)

    def _attach(self) -> None:
        for dropper in self._droppers:
            row: Row = {"tracer": TRACER, "hook": "xdp", "tables": list(TABLES), "interface": dropper.interface.name}
            row |= {"rules": [str(rule) for rule in dropper.rules], "detached_ns": None}
            before_ns = clocks.boottime_ns()
            try:
                program_id = dropper.attach()
            except RecorderError as error:
                self._probes.append(row | {"status": "failed", "reason": error.message, "program_id": None, "attached_ns": None, "mode": None})
                for source in self._sources:
                    self._take_off(source)
                self._give_up_coverage()
                raise
            row |= {
                "status": "attached",
                "reason": dropper.reason,
                "program_id": program_id,
                "mode": dropper.mode,
                "attached_ns": clocks.boottime_ns(),
            }
            self._probes.append(row)
            self._sources.append(_Source(dropper, before_ns, row))
            rules = ", ".join(map(str, dropper.rules))
            self.notes.append(
                f"dropping {rules} on {dropper.interface.name}, {dropper.mode} mode" + (f" ({dropper.reason})" if dropper.reason else "")
            )
        self._is_open = True
        self._opened_ns = clocks.boottime_ns()

    def _take_off(self, source: _Source) -> None:
        if source.probe["detached_ns"] is None:
            source.dropper.detach()
            source.probe["detached_ns"] = clocks.boottime_ns()

    def _lose(self, source: _Source) -> None:
        """Note that an interface has gone, and the program with it."""
        source.gone = True
        source.probe["reason"] = f"{source.dropper.interface.name} has gone"
        self._take_off(source)
        await_running_programs()
        self._put(source, clocks.boottime_ns())
        self._cover(clocks.boottime_ns())
        self._give_up_coverage()
        self._on_change()

    def _close_window(self) -> None:
        for source in self._sources:
            self._take_off(source)
        self._sample_detached()
        self._is_open = False
        self._on_change()

    def _give_up_coverage(self) -> None:
        for table in self.tables:
            table.attached = False

    def _sample_detached(self) -> None:
        await_running_programs()
        for source in self._sources:
            self._put(source, clocks.boottime_ns())

    def _put(self, source: _Source, now_ns: int) -> None:
        drops, passes, lost = source.sample(now_ns, self._offset_ns)
        for table, rows in zip(self.tables, (drops, passes), strict=True):
            table.events += len(rows)
            if rows:
                self._put_rows(table.name, rows)
        self.tables[0].lost += lost

    def _cover(self, now_ns: int) -> None:
        common = interval(self._covered_ns, now_ns, self._offset_ns)
        self._covered_ns = now_ns
        self._put_rows("coverage", [table.next_row(common) for table in self.tables])
