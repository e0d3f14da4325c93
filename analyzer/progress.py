"""Show how far long work is: on stderr, where that is a terminal, and when it takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

SHOWN_AFTER_S = 1.0

Advance = Callable[[int], None]


@contextlib.contextmanager
def progress(what: str, total_bytes: int) -> Iterator[Advance]:
    """Yield a function, for any thread, that says that so many more bytes are done. What was shown is gone in the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    began, lock, done = time.monotonic(), threading.Lock(), 0
    with contextlib.ExitStack() as shown:
        bar: Callable[[int], None] | None = None

        def advance(count: int) -> None:
            nonlocal bar, done
            with lock:
                done += count
                if bar is None and time.monotonic() - began >= SHOWN_AFTER_S:
                    bar = _bar(shown, what, total_bytes, done)
                if bar is not None:
                    bar(done)

        yield advance


def _bar(shown: contextlib.ExitStack, what: str, total_bytes: int, done: int) -> Callable[[int], None]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    display = shown.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
    task = display.add_task(what, total=total_bytes, completed=done)
    return lambda done: display.update(task, completed=done)
