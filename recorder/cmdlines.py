"""The arguments of processes that are there already, as far as /proc gives them in good time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from recorder import cmdline_reader
from recorder.cmdline_reader import LENGTH

# Reading takes some microseconds. After so many that did not answer, the others are not asked.
PATIENCE_SECONDS = 1.0
_MOST_STUCK = 3


def command_lines(pids: Sequence[int], most: int) -> list[bytes | None]:
    """Return what ``/proc/PID/cmdline`` has for each of ``pids``, up to ``most`` bytes; None where it has nothing, or does not answer."""
    found: list[bytes | None] = []
    stuck = 0
    while len(found) < len(pids) and stuck < _MOST_STUCK:
        found += _read_until_stuck(pids[len(found) :], most)
        if len(found) < len(pids):
            found.append(None)
            stuck += 1
    return found + [None] * (len(pids) - len(found))


def _read_until_stuck(pids: Sequence[int], most: int) -> list[bytes | None]:
    """Return the answers for ``pids`` up to the first that does not come."""
    words = [sys.executable, "-IS", str(cmdline_reader.__file__), str(most), str(os.getpid())]
    # In a group of its own: Ctrl-C is for us.
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0)
    assert process.stdin
    assert process.stdout
    found: list[bytes | None] = []
    try:
        with process.stdin as stdin:
            stdin.write(" ".join(map(str, pids)).encode())
        for _ in pids:
            length = LENGTH.unpack(_take(process.stdout, LENGTH.size))[0]
            found.append(None if length < 0 else _take(process.stdout, length))
    except (EOFError, OSError):  # it has ended, or does not answer
        pass
    finally:
        process.kill()
        process.stdout.close()
        with suppress(subprocess.TimeoutExpired):  # not even a kill ends it now; it holds nothing of ours
            process.wait(PATIENCE_SECONDS)
    return found


def _take(stream: IO[bytes], count: int) -> bytes:
    """Return the next ``count`` bytes. Raise TimeoutError where nothing comes for too long, EOFError at the end."""
    taken = b""
    while len(taken) < count:
        if not select.select([stream], [], [], PATIENCE_SECONDS)[0]:
            raise TimeoutError
        data = os.read(stream.fileno(), count - len(taken))
        if not data:
            raise EOFError
        taken += data
    return taken
