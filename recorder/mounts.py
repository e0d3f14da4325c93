"""The mounts that this process sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the kind of its file system, where it is, the file system's own options, and what of the file system is mounted."""

    kind: str
    path: Path
    options: tuple[str, ...]
    root: str = "/"


def mounts(*kinds: str, mountinfo: Path | None = None) -> list[Mount]:
    """Return the mounts of these kinds, oldest first: what this process sees, or ``mountinfo`` says. Raise OSError where there is none."""
    found = []
    # Not read_text(), splitlines() and split(): a folder's name may have any line end and space but those that the kernel escapes.
    for line in (mountinfo or MOUNTINFO).read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in kinds:
            _, _, _, root, path = before.split(" ")[:5]
            found.append(Mount(kind, Path(path), tuple(options.split(" ")[-1].split(",")), root))
    return found
