"""Let Ctrl-C stop a statement: DuckDB looks at no signal while it waits for threads of its own, and Python at none while it is inside of DuckDB."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from analyzer.errors import AnalyzerError, Exit
from analyzer.unfinished import remove_unfinished

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

# DuckDB cannot be stopped inside of one call of a function. So many signals in a row say that nobody wants to wait for its end.
_PATIENCE = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible(sandbox: Sandbox, title: str) -> Iterator[None]:
    """Raise AnalyzerError with exit code 130 soon after Ctrl-C, whatever the sandbox is doing; after three of them end the process.

    SIGTERM and SIGHUP, unless they are ignored, do the same with SystemExit and 128 and their number. For the main thread, where signals arrive.
    ``title`` names what is stopped.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    came: list[int] = []
    thread = threading.Thread(target=_listen, args=(reader, sandbox, came, title), daemon=True)
    thread.start()
    failure: Exception | KeyboardInterrupt | None = None
    try:
        with terminated():
            yield
    except (Exception, KeyboardInterrupt) as error:
        failure = error
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()  # a thread that still holds DuckDB's objects when Python ends makes them complain
        os.close(reader)
    # Whoever notices first, Python or DuckDB in one of two ways, has its own word for it.
    if came and came[0] != signal.SIGINT:
        raise SystemExit(128 + came[0])
    if came or isinstance(failure, KeyboardInterrupt):
        raise AnalyzerError(f"{title} was stopped.", code=Exit.INTERRUPTED)
    if failure:
        raise failure


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """Let the signals that would kill the process unwind it instead: what was spilled and what is half written is removed."""
    came: list[int] = []

    def end(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as signal() calls it
        came.append(signum)
        raise SystemExit(128 + signum)

    lethal = [signum for signum in _SIGNALS if signal.getsignal(signum) == signal.SIG_DFL]
    for signum in lethal:
        signal.signal(signum, end)
    try:
        yield
    except Exception:
        if came:  # DuckDB has another word for it
            raise SystemExit(128 + came[0]) from None
        raise
    finally:
        for signum in lethal:
            signal.signal(signum, signal.SIG_DFL)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore the signals that end a process, while it removes what it would leave."""
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    for signum in before:
        signal.signal(signum, signal.SIG_IGN)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _listen(reader: int, sandbox: Sandbox, came: list[int], title: str) -> None:
    while numbers := os.read(reader, 64):
        stops = [number for number in numbers if number in _SIGNALS]
        if not stops:
            continue
        if not came and stops[0] == signal.SIGINT and os.isatty(2):
            os.write(2, b"\n")  # behind the ^C that the terminal shows
        came += stops
        if len(came) >= _PATIENCE:
            os.write(2, f"error: {title} was stopped in the middle of one long call of a function.\n".encode())
            remove_unfinished()
            sandbox.remove_spilled()
            os._exit(128 + came[0])
        sandbox.interrupt()
