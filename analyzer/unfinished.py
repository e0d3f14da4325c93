"""What is half made, so that a process which ends without unwinding can still remove it."""

from __future__ import annotations

import shutil
from pathlib import Path

unfinished: set[Path] = set()
"""Files and folders that are being made, and folders of temporary files."""


def remove_unfinished() -> None:
    """Remove what is unfinished."""
    for path in list(unfinished):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing need be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
