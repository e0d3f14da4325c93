"""Signals that end a recording, as something to wait for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """The ending signals that came. ``fd`` becomes readable with each, and with every :meth:`wake`."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self.came: list[signal.Signals] = []
        self.ignored = frozenset(number for number in ENDING if signal.getsignal(number) == signal.SIG_IGN)
        """Those that were ignored when this process was started."""

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.came.append(signal.Signals(number))

    def wake(self) -> None:
        """Make :attr:`fd` readable, from any thread."""
        with suppress(BlockingIOError):  # it is readable already
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Make :attr:`fd` unreadable until the next signal."""
        with suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the ending signals meanwhile.

        SIGINT also where it was ignored, as it is in background jobs of scripts; an ignored SIGHUP (nohup) stays ignored.
        """
        before = {number: signal.getsignal(number) for number in ENDING}
        wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in ENDING:
            if not (number == signal.SIGHUP and before[number] == signal.SIG_IGN):
                signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(self.fd)
            os.close(self._write)
