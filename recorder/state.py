"""What a recording says of itself: its row of the ``recording`` table."""

from __future__ import annotations

import os
import platform
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recorder import __version__
from recorder.clocks import timestamp_us

if TYPE_CHECKING:
    from recorder.session import Options


def as_text(word: str) -> str:
    """Return an argument as text that every file can hold: bytes that are no UTF-8 are replaced."""
    return os.fsencode(word).decode("utf-8", "replace")


def _read_line(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None


def _command_line(options: Options) -> list[str]:
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    if not options.argv and options.command:  # the arguments of the command are arguments of a program
        words = words[: len(words) - len(options.command) + 1]
    return [as_text(word) for word in words]


def recording_row(options: Options, offset_ns: int, start_ns: int, end_ns: int | None, reason: str | None, clean: bool) -> dict[str, Any]:
    """Return the one row of the ``recording`` table; ``end_ns`` and ``reason`` are None while it runs."""
    return {
        "host": socket.gethostname(),
        "machine_id": _read_line("/etc/machine-id"),
        "boot_id": _read_line("/proc/sys/kernel/random/boot_id"),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "cpus": os.cpu_count(),
        "command_line": _command_line(options),
        "tracers": list(options.tracers),
        "filters": [as_text(word) for word in options.filters.words],
        "recorder_version": __version__,
        "start_ts": timestamp_us(start_ns, offset_ns),
        "start_ns": start_ns,
        "end_ts": timestamp_us(end_ns, offset_ns) if end_ns else None,
        "end_ns": end_ns,
        "clean_end": clean,
        "end_reason": reason,
    }
