"""Keep compiled programs between recordings, in the environment that the recorder is installed in.

Compiling takes most of the time and CPU that a short recording costs. ``make setup`` and ``make install`` make the folder, and it goes when the
environment goes; where it is not there nothing is kept, so that a recorder leaves nothing behind on a host. What is in it is trusted as
much as the recorder's own files are: it must belong to who records or to whom the environment belongs, and nobody else may write to it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recorder.compiled import Compiled

_KEPT = 64


def place() -> Path:
    """Return where the cache would be: where BPFTAPE_CACHE says, else in this environment."""
    return Path(os.environ.get("BPFTAPE_CACHE") or Path(sys.prefix) / "var" / "cache" / "bpftape")


def folder() -> Path | None:
    """Return the folder of the cache; None where there is none, or it cannot be trusted."""
    try:
        found = place().lstat()
        return place() if stat.S_ISDIR(found.st_mode) and _is_ours(found) else None
    except OSError:
        return None


def _is_ours(found: os.stat_result) -> bool:
    """Say whether nobody else made a file or folder, or may write to it."""
    return found.st_uid in {os.geteuid(), Path(sys.prefix).stat().st_uid} and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place for one compiled C file."""

    path: Path

    def read(self) -> Compiled | None:
        """Return what is kept there; None where nothing is, it cannot be read, or somebody else put it there while the folder was open to them."""
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
                    return None
                os.utime(file.fileno())  # those that are not used are the first to go
                return Compiled.from_json(file.read())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, compiled: Compiled) -> None:
        """Keep ``compiled`` there, and let the oldest go where there are many; a cache that cannot be written is none."""
        partial = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            partial.write_text(compiled.to_json())
            partial.chmod(0o600)
            partial.rename(self.path)
            kept = sorted(self.path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in kept[_KEPT:]:
                path.unlink()


def entry(job: str, compilers: Iterable[Path]) -> Entry | None:
    """Return the place of what ``job`` compiles to, with the first of ``compilers`` (folders of BCC) that is there; None without a cache."""
    if not (kept := folder()):
        return None
    compiler = next((candidate / "__init__.py" for candidate in compilers if (candidate / "__init__.py").is_file()), None)
    version = (str(compiler), compiler.stat().st_mtime_ns) if compiler else None
    key = hashlib.sha256(repr((job, version, platform.machine(), platform.release())).encode()).hexdigest()
    return Entry(kept / f"{key}.json")
