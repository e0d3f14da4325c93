"""Do the same with many things, some at once on threads that let go of the interpreter: decoding, hashing, compressing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from analyzer.progress import Advance

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Stopped(Exception):
    """The result is not wanted any more."""


def each(action: Callable[[Item, Advance], Result], items: Iterable[Item], advance: Advance, most: int | None = None) -> list[Result]:
    """Return what ``action`` returns of each item, in order; as many are done at once as there are CPUs, and at ``most`` so many.

    The action calls the ``advance`` that it is given whenever a part is done, if only of 0 bytes: at Ctrl-C, or when another one failed, it is ended
    there, so that nobody waits for what is not wanted any more.
    """
    stopped = threading.Event()

    def counted(count: int) -> None:
        if stopped.is_set():
            raise _Stopped
        advance(count)

    workers = os.cpu_count() or 1
    pool = ThreadPoolExecutor(workers if most is None else min(workers, most))
    try:
        return list(pool.map(lambda item: action(item, counted), items))
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
