"""What is half made, so that a process which ends without unwinding can still remove it."""

from __future__ import annotations

import contextlib
import shutil
import stat
from pathlib import Path

unfinished: set[Path] = set()
"""Files and folders that are being made, and folders of temporary files."""


def remove_unfinished() -> None:
    """Remove what is unfinished."""
    for path in list(unfinished):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, as far as that can be; nothing need be there."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
