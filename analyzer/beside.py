"""Make a folder beside its place, which it takes only when it is whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``, mode 0700, that takes its place at the end; when something fails, nothing of it is left."""
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    folder.mkdir(0o700)
    try:
        yield folder
        sync(folder)
        if os.path.lexists(path):  # somebody made it meanwhile; an empty folder would be replaced without a word
            raise FileExistsError(17, os.strerror(17))
        folder.rename(path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def sync(folder: Path) -> None:
    """Have the names in ``folder`` on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
