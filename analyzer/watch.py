"""End a statement that should run no longer: when its time is over, or at Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from analyzer.errors import Exit
from analyzer.interrupt import interruptible
from analyzer.meter import Meter
from analyzer.sql_error import timed_out
from analyzer.text import printable
from analyzer.unfinished import remove_unfinished

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

# DuckDB looks at its clock between blocks of rows. A function that takes for ever over one value is ended this much later.
_GRACE_S = 5.0


@contextlib.contextmanager
def watched(sandbox: Sandbox, title: str) -> Iterator[Meter]:
    """Let Ctrl-C stop what runs inside, end the process when it is still here well after its time, and yield what shows how far it is.

    The second since DuckDB cannot interrupt itself inside of one long function call. Raises AnalyzerError, exit code 130, at Ctrl-C.
    """
    with interruptible(sandbox, title), _timed(sandbox, title), Meter(sandbox.progress, title) as meter:
        yield meter


@contextlib.contextmanager
def _timed(sandbox: Sandbox, title: str) -> Iterator[None]:
    if not sandbox.timeout_s:
        yield
        return
    timer = threading.Timer(sandbox.timeout_s + _GRACE_S, _give_up, (sandbox, title))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a thread that still holds DuckDB's objects when Python ends makes them complain


def _give_up(sandbox: Sandbox, title: str) -> None:
    error = timed_out(title, sandbox.timeout_s)
    os.write(2, f"error: {printable(error.message)}\nhint: {error.hint}\n".encode())
    remove_unfinished()
    sandbox.remove_spilled()
    os._exit(Exit.USAGE)
