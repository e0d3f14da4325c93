"""The kernel's clocks, read together."""

from __future__ import annotations

import time
from dataclasses import dataclass


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME, the clock of every ``ts_ns``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def timestamp_us(ts_ns: int, offset_ns: int) -> int:
    """Return the wall-clock time that goes with ``ts_ns``, as columns of type TIMESTAMP take it."""
    return (ts_ns + offset_ns) // 1_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One row of the ``clock`` table."""

    boottime_ns: int
    monotonic_ns: int
    realtime_ns: int
    width_ns: int

    @property
    def offset_ns(self) -> int:
        """What wall-clock time is ahead of CLOCK_BOOTTIME."""
        return self.realtime_ns - self.boottime_ns


def snapshot() -> Snapshot:
    """Read the three clocks between two readings of CLOCK_BOOTTIME; of five tries keep the tightest, whose width bounds the error."""
    best: Snapshot | None = None
    for _ in range(5):
        before = boottime_ns()
        monotonic, realtime = time.monotonic_ns(), time.time_ns()
        width = boottime_ns() - before
        if best is None or width < best.width_ns:
            best = Snapshot(before + width // 2, monotonic, realtime, width)
    assert best is not None
    return best
