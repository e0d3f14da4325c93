"""Where data go: stdout, or a file that appears only when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from analyzer.beside import failed, making
from analyzer.errors import Exit


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[tuple[TextIO, int | None]]:
    """Yield where to write to, and its width in columns if that is a terminal.

    A file is written beside its place and renamed when all went well, so that a failed report leaves the old one alone. Raises AnalyzerError: 73
    where it cannot be made, 74 where the disk is full. A reader that left (``| head``) ends the program quietly, with status 0.
    """
    try:
        if path is None:
            yield _stdout()
            sys.stdout.flush()
        elif path.exists() and not stat.S_ISREG(path.stat().st_mode):  # /dev/stderr, a named pipe
            with path.open("w", encoding="utf-8", newline="") as out:
                yield out, None
        else:
            with _replaced(path) as out:
                yield out, None
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.OK) from None
    except OSError as error:
        raise failed(path, error) from None


def say(text: str) -> None:
    """Print ``text`` on stdout, as data."""
    with open_output(None) as (out, _):
        out.write(text + "\n")


def _stdout() -> tuple[TextIO, int | None]:
    out = sys.stdout
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace", newline="")  # a terminal may not have every character; data have \\n only
    return out, shutil.get_terminal_size().columns if out.isatty() else None


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    with making(path, replaces=True) as made, made.open("x", encoding="utf-8", newline="") as out:
        yield out
