"""What an iterator of the kernel says while it is read."""

from __future__ import annotations

import os

from recorder.bpf_program import _read_on


def test_an_iterator_that_asks_for_patience_is_read_on_when_there_is_room_again() -> None:
    # It says EAGAIN when a ring is full, and after a million objects without a word: a pipe without data does so, too.
    read, write = os.pipe()
    os.set_blocking(read, False)
    asked: list[str] = []
    try:
        assert _read_on(read, lambda: asked.append("room"))
        os.write(write, b"x")
        assert _read_on(read, lambda: asked.append("no room"))
    finally:
        os.close(write)
    assert not _read_on(read, lambda: asked.append("no room"))
    assert asked == ["room"]
    os.close(read)
