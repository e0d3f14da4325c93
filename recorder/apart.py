"""What must not change the thread that has it done: namespaces and capabilities are a thread's own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(action: Callable[[], T]) -> T:
    """Return what ``action`` returns on a thread that ends then, and raise what it raises. Raise OSError where there is no room for a thread."""
    with ThreadPoolExecutor(1, "bpftape-apart") as thread:
        try:
            outcome = thread.submit(action)
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        return outcome.result()
