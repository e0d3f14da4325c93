"""The mounts that this process sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the kind of its file system, where it is, and the file system's own options."""

    kind: str
    path: Path
    options: tuple[str, ...]


def mounts(*kinds: str) -> list[Mount]:
    """Return the mounts of these kinds, oldest first; raise OSError where there is no /proc."""
    found = []
    # Not read_text(), splitlines() and split(): a folder's name may have any line end and space but those that the kernel escapes.
    for line in MOUNTINFO.read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in kinds:
            found.append(Mount(kind, Path(before.split(" ")[4]), tuple(options.split(" ")[-1].split(","))))
    return found
