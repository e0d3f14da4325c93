"""What an iterator of the kernel says while it is read."""

from __future__ import annotations

import os

from recorder.bpf_program import _read_on


def test_an_iterator_that_asks_for_patience_is_read_on() -> None:
    # After a million objects without a word it says EAGAIN: a pipe without data does so, too.
    read, write = os.pipe()
    os.set_blocking(read, False)
    try:
        assert _read_on(read)
        os.write(write, b"x")
        assert _read_on(read)
    finally:
        os.close(write)
    assert not _read_on(read)
    os.close(read)
