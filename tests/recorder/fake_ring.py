"""A ring as the kernel lays it out, in plain memory: what BPF programs do to a ring, done by a test."""

from __future__ import annotations

import mmap
import os
import struct

from recorder.ring import BUSY, DISCARD, HEADER_BYTES, Ring


class FakeRing:
    """The writing end of a ring with ``data_bytes`` of room for records of ``record_bytes``."""

    def __init__(self, data_bytes: int, record_bytes: int) -> None:
        self.stride = HEADER_BYTES + record_bytes
        self._record_bytes = record_bytes
        self._data_bytes = data_bytes
        self._fd = os.memfd_create("ring")
        os.ftruncate(self._fd, 2 * mmap.PAGESIZE + 2 * data_bytes)
        self.reader = Ring(self._fd, data_bytes, record_bytes)
        # What is mapped cannot be waited for here, as a real ring can: this stands for it, and wakes nobody.
        self.reader.fd = self._silent = os.eventfd(0)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._silent)

    def _position(self, page: int) -> int:
        position: int = struct.unpack("<Q", os.pread(self._fd, 8, page * mmap.PAGESIZE))[0]
        return position

    @property
    def consumed(self) -> int:
        return self._position(0)

    @property
    def produced(self) -> int:
        return self._position(1)

    def _write(self, position: int, data: bytes) -> None:
        """Write at a position of the data, which the kernel maps twice in a row."""
        offset = position % self._data_bytes
        for start in (offset, (offset + self._data_bytes) % (2 * self._data_bytes)):
            room = 2 * self._data_bytes - start
            os.pwrite(self._fd, data[:room], 2 * mmap.PAGESIZE + start)
            os.pwrite(self._fd, data[room:], 2 * mmap.PAGESIZE)

    def reserve(self) -> int | None:
        """Begin a record, as bpf_ringbuf_reserve does; return its position, or None when the ring is full."""
        position = self.produced
        if position + self.stride - self.consumed > self._data_bytes - 1:
            return None
        self._write(position, struct.pack("<II", self._record_bytes | BUSY, 0))
        os.pwrite(self._fd, struct.pack("<Q", position + self.stride), mmap.PAGESIZE)
        return position

    def commit(self, position: int, payload: bytes, discard: bool = False) -> None:
        """Finish a record, as bpf_ringbuf_submit or bpf_ringbuf_discard do."""
        assert len(payload) == self._record_bytes
        self._write(position + HEADER_BYTES, payload)
        self._write(position, struct.pack("<I", self._record_bytes | (DISCARD if discard else 0)))

    def put(self, payload: bytes, discard: bool = False) -> bool:
        """Write a whole record; return False when the ring is full."""
        position = self.reserve()
        if position is None:
            return False
        self.commit(position, payload, discard)
        return True

    def spoil(self, position: int, header: int) -> None:
        """Write a header that no kernel writes."""
        self._write(position, struct.pack("<I", header))
