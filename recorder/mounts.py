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
        kind, _, rest = after.partition(" ")
        fields = before.split(" ")
        if kind in kinds and len(fields) >= 5:
            found.append(Mount(kind, Path(fields[4]), tuple(rest.split(" ")[-1].split(",")), fields[3]))
    return found
