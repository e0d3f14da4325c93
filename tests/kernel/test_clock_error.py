"""What the kernel was told of its clock's error, as an NTP daemon tells it: by the test, which puts back what was there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.harness import recorder

_MAXERROR, _ESTERROR, _STATUS = 0x4, 0x8, 0x10
_STA_PLL, _STA_UNSYNC = 0x1, 0x40


class Timex(ctypes.Structure):
    """The beginning of struct timex, as adjtimex(2) has it, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def adjust(**values: int) -> Timex:
    """Give the kernel these values, and return what it has then. The clock itself goes on as it did."""
    timex = Timex(**values)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        pytest.skip(f"the state of the clock cannot be set: {os.strerror(ctypes.get_errno())}")
    return timex


@pytest.fixture
def before() -> Iterator[Timex]:
    """Put the clock's state back in the end."""
    found = adjust()
    yield found
    adjust(modes=_MAXERROR | _ESTERROR | _STATUS, maxerror=found.maxerror, esterror=found.esterror, status=found.status)


def test_clock_rows_have_the_error_that_the_kernel_was_told(before: Timex, tmp_path: Path) -> None:
    del before
    adjust(modes=_MAXERROR | _ESTERROR | _STATUS, maxerror=1_234, esterror=56, status=_STA_PLL)
    with recorder(tmp_path / "r.bpftape", "--tracers", "clone") as running:
        adjust(modes=_STATUS, status=_STA_UNSYNC)
        rows = running.stop().table("clock")
    first, last = rows[0], rows[-1]
    assert (first["esterror_us"], first["is_synchronized"]) == (56, True)
    assert 1_234 <= first["maxerror_us"] <= 1_234 + 2 * 500, "the kernel adds 500 us each second"
    assert last["is_synchronized"] is False
