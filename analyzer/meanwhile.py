"""Do something on a thread while something else is done on this one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Outcome(Generic[T]):
    """What came of a function that runs on a thread of its own."""

    # Not concurrent.futures: importing that takes 3 ms of each start.

    def __init__(self, what: Callable[[], T]) -> None:
        self._what = what
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Call the function and keep what it returns or raises."""
        try:
            self._values.append(self._what())
        except BaseException as error:  # raised again where it is asked for
            self._error = error
        finally:
            self._ended.set()

    def wait(self, stop: Callable[[], None]) -> None:
        """Wait for the function's end, however often a signal raises, and raise that then; each one calls ``stop()``."""
        # Not join(): when a signal raises in that of Python 3.11, the thread counts as ended.
        raised: BaseException | None = None
        while not self._ended.is_set():
            try:
                self._ended.wait()
            except BaseException as error:
                stop()
                raised = error
        if raised:
            raise raised

    def get(self) -> T:
        """Return what the function returned, or raise what it raised, once it has ended."""
        if self._error:
            raise self._error
        return self._values[0]


@contextlib.contextmanager
def meanwhile(what: Callable[[], T], stop: Callable[[], None]) -> Iterator[Outcome[T]]:
    """Call ``what`` on a thread, and wait for its end at that of the block; where the block raises, ``stop()`` hastens it."""
    outcome = Outcome(what)
    thread = threading.Thread(target=outcome.run, daemon=True)
    thread.start()
    try:
        yield outcome
    except BaseException:
        stop()
        raise
    finally:
        outcome.wait(stop)
        thread.join()
