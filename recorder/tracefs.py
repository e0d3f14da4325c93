"""The file system that names the kernel's tracepoints. Some machines do not mount it until somebody needs it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from analyzer.libc import checked, libc
from recorder.errors import Exit, RecorderError
from recorder.mounts import mounts

PLACE = Path("/sys/kernel/tracing")


def _places() -> tuple[Path, ...]:
    return PLACE, Path("/sys/kernel/debug/tracing")


def is_mounted() -> bool:
    """Say whether tracefs is at one of its usual places."""
    return any(mount.path in _places() for mount in mounts("tracefs")) or any((place / "events").is_dir() for place in _places())


def events() -> Path:
    """Return the folder that has a folder for each category of tracepoints."""
    return next((place / "events" for place in _places() if (place / "events").is_dir()), PLACE / "events")


def mount() -> bool:
    """Mount tracefs at its place unless it is mounted, and leave it there, as perf does; return whether that was needed.

    Raise RecorderError (exit 70) where the kernel refuses.
    """
    if is_mounted():
        return False
    try:
        checked(libc().mount(b"tracefs", bytes(PLACE), b"tracefs", ctypes.c_ulong(0), None))
    except OSError as error:
        fix = f"try: mount -t tracefs tracefs {PLACE}"
        raise RecorderError(f"tracefs is not mounted, and cannot be at {PLACE}: {error.strerror}", fix, Exit.BPF) from error
    return True
