"""The kernel's clocks, read together, and what it knows of how wrong they are."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

from analyzer.libc import libc

# linux/timex.h
_STA_UNSYNC = 0x40
_TIMEX_BYTES = 512
"""More than any kernel's struct timex has."""


class _Timex(ctypes.Structure):
    """The beginning of struct timex."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * _TIMEX_BYTES),
    )


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
    maxerror_us: int | None = None
    esterror_us: int | None = None
    is_synchronized: bool | None = None

    @property
    def offset_ns(self) -> int:
        """What wall-clock time is ahead of CLOCK_BOOTTIME."""
        return self.realtime_ns - self.boottime_ns


def snapshot() -> Snapshot:
    """Read the three clocks between two readings of CLOCK_BOOTTIME; of five tries keep the tightest, whose width bounds the error."""
    error = _error()
    best: Snapshot | None = None
    for _ in range(5):
        before = boottime_ns()
        monotonic, realtime = time.monotonic_ns(), time.time_ns()
        width = boottime_ns() - before
        if best is None or width < best.width_ns:
            best = Snapshot(before + width // 2, monotonic, realtime, width, *error)
    assert best is not None
    return best


def _error() -> tuple[int | None, int | None, bool | None]:
    """Return the bound of the wall clock's error, its likely error, in us, and whether something corrects it; nothing where the kernel refuses."""
    timex = _Timex()  # no modes: it only reads, which takes no privilege
    if libc().adjtimex(ctypes.byref(timex)) < 0:  # a container's seccomp filter
        return None, None, None
    return timex.maxerror, timex.esterror, not timex.status & _STA_UNSYNC
