"""What must not change the thread that has it done: namespaces and capabilities are a thread's own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from analyzer.meanwhile import meanwhile

T = TypeVar("T")


def apart(action: Callable[[], T]) -> T:
    """Return what ``action`` returns on a thread that ends then, and raise what it raises. Raise OSError where there is no room for a thread."""
    try:
        with meanwhile(action, lambda: None) as outcome:
            pass  # there is nothing else to do; it is waited for
    except RuntimeError as error:  # of starting the thread: what the action raises is in the outcome
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    return outcome.get()
