"""One BPF ring buffer, mapped into this process and read as arrays of records: no call per event.

The layout is that of kernel/bpf/ringbuf.c: a page with the consumer's position, a page with the producer's, then the data pages
twice in a row, so that no run of records ever wraps. Each record has a header of 8 bytes: its length, with two flag bits on
top, and a page offset. A ring here holds records of one size only, so record k of a run is at a fixed place.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from analyzer.libc import libc
from recorder.errors import Exit, RecorderError

HEADER_BYTES = 8
BUSY, DISCARD = 1 << 31, 1 << 30

Bytes = npt.NDArray[np.uint8]

_MEMBARRIER_PRIVATE_EXPEDITED, _MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 1 << 3, 1 << 4
_SYS_MEMBARRIER = {"aarch64": 283, "riscv64": 283, "loongarch64": 283, "armv7l": 389, "ppc64le": 365}


def _make_barrier() -> Callable[[], object]:
    """Return a function that orders the loads before it with those after it. It is called a few times a look, so its price does not count."""
    machine = platform.machine()
    if machine == "x86_64":  # keeps loads in order and stores in order, which is all that a ring with one reader asks for
        return lambda: None
    if machine not in _SYS_MEMBARRIER:
        raise RecorderError(f"bpftape does not know how to read a ring on {machine}", code=Exit.BPF)
    call, number = libc().syscall, _SYS_MEMBARRIER[machine]
    if call(number, _MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0, 0):
        raise RecorderError(f"membarrier: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
    return partial(call, number, _MEMBARRIER_PRIVATE_EXPEDITED, 0, 0)


_barrier = _make_barrier()


class Ring:
    """The reading end of the ring behind ``fd``: ``data_bytes`` of it, holding records of ``record_bytes`` each (header not counted)."""

    def __init__(self, fd: int, data_bytes: int, record_bytes: int) -> None:
        if record_bytes % 8:
            raise ValueError(f"a record of {record_bytes} bytes is not a multiple of 8: pad the C struct")
        page = mmap.PAGESIZE
        self.fd = fd
        self.stride = HEADER_BYTES + record_bytes
        self.capacity = data_bytes // self.stride
        self._record_bytes = record_bytes
        self._data_bytes = data_bytes
        consumer = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=0)
        producer = mmap.mmap(fd, page + 2 * data_bytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer = np.frombuffer(consumer, np.uint64, 1)
        self._producer = np.frombuffer(producer, np.uint64, 1)
        self._data = np.frombuffer(producer, np.uint8, 2 * data_bytes, offset=page)

    def pending(self) -> int:
        """Return how many records, finished or not, are in the ring."""
        return (int(self._producer[0]) - int(self._consumer[0])) // self.stride

    def read_into(self, buffer: Bytes) -> int:
        """Move as many finished records as fit from the ring into ``buffer``, headers and all; return how many bytes that were.

        Stops at the first record that a program is still writing. The consumer's position moves once, behind the copy.
        """
        while True:
            start = int(self._consumer[0])
            count = min((int(self._producer[0]) - start) // self.stride, buffer.size // self.stride)
            if count <= 0:
                return 0
            _barrier()
            offset = start % self._data_bytes
            run = self._data[offset : offset + count * self.stride]
            headers = run.view(np.uint32)[:: self.stride // 4]
            whole = headers == self._record_bytes
            _barrier()
            if not whole.all():
                count = int(whole.argmin())
                if count == 0 and not self._step_over(start, int(headers[0])):
                    return 0
                if count == 0:
                    continue
            size = count * self.stride
            buffer[:size] = run[:size]
            _barrier()
            self._consumer[0] = start + size
            return size

    def _step_over(self, start: int, header: int) -> bool:
        """Deal with a first record that was not whole; return whether to look again. ``header`` is read anew: it may be whole by now."""
        if header & BUSY:
            return False
        if header & DISCARD:
            _barrier()
            self._consumer[0] = start + self.stride
        elif header != self._record_bytes:
            raise RuntimeError(f"ring: a record of {header:#x} where {self._record_bytes:#x} is due")
        return True
