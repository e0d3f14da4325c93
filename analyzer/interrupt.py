"""Let Ctrl-C stop a statement: DuckDB looks at no signal while it waits for threads of its own, and Python at none while it is inside of DuckDB."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError, Exit

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

# DuckDB cannot be stopped inside of one call of a function. So many Ctrl-C in a row say that nobody wants to wait for its end.
_PATIENCE = 3


@contextlib.contextmanager
def interruptible(sandbox: Sandbox, title: str) -> Iterator[None]:
    """Raise AnalyzerError with exit code 130 soon after Ctrl-C, whatever the sandbox is doing; after three of them end the process.

    For the main thread, where signals arrive. ``title`` names what is stopped.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    came: list[int] = []
    thread = threading.Thread(target=_listen, args=(reader, sandbox, came, title), daemon=True)
    thread.start()
    try:
        yield
    except (AnalyzerError, KeyboardInterrupt, RuntimeError) as error:
        # Whoever notices first, Python or DuckDB in one of two ways, has its own word for it.
        if came or isinstance(error, KeyboardInterrupt) or str(error) == "Query interrupted":
            raise AnalyzerError(f"{title} was stopped.", code=Exit.INTERRUPTED) from None
        raise
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()  # a thread that still holds DuckDB's objects when Python ends makes them complain
        os.close(reader)


def _listen(reader: int, sandbox: Sandbox, came: list[int], title: str) -> None:
    while numbers := os.read(reader, 64):
        if signal.SIGINT not in numbers:
            continue
        if not came and os.isatty(2):
            os.write(2, b"\n")  # behind the ^C that the terminal shows
        came += [number for number in numbers if number == signal.SIGINT]
        if len(came) >= _PATIENCE:
            os.write(2, f"error: {title} was stopped in the middle of one long call of a function.\n".encode())
            sandbox.remove_spilled()
            os._exit(Exit.INTERRUPTED)
        sandbox.interrupt()
