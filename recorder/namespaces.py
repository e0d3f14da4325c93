"""The network namespaces of this host, and what is done in each of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from analyzer.libc import checked, libc
from recorder.apart import apart
from recorder.errors import RecorderError
from recorder.mounts import mounts

_CLONE_NEWNET = 0x40000000
_LISTED = 16
_NAMED = re.compile(r"net:\[[0-9]{1,19}\]")


def network_namespaces(proc: Path = Path("/proc")) -> dict[int, list[Path]]:
    """Return the network namespaces that a process is in or that are mounted somewhere, by inode, each with the files that open it."""
    found: dict[int, list[Path]] = {}
    mount_namespaces: set[str] = set()
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            found.setdefault(_inode(str((folder / "ns" / "net").readlink())), []).append(folder / "ns" / "net")
            mounted = str((folder / "ns" / "mnt").readlink())
            if mounted not in mount_namespaces:
                mount_namespaces.add(mounted)
                for inode, path in _mounted(folder):
                    found.setdefault(inode, []).append(path)
        except OSError:  # it has ended, or is not ours to see
            continue
    return found


def _mounted(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the network namespaces that are mounted where a process of /proc looks: ip netns, and runtimes, keep them so."""
    for mount in mounts("nsfs", mountinfo=folder / "mountinfo"):
        if _NAMED.fullmatch(mount.root):
            yield _inode(mount.root), folder / "root" / str(mount.path).lstrip("/")


def _inode(link: str) -> int:
    """Return the number in the name of a namespace, ``net:[4026531840]``."""
    return int(link.partition("[")[2].removesuffix("]"))


def _try_in(path: Path, action: Callable[[], None]) -> None:
    """Do ``action`` in the network namespace of ``path``, on a thread that ends: this one stays where it is. Raise OSError or RecorderError."""

    def enter() -> None:
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            checked(libc().setns(namespace, _CLONE_NEWNET))
        finally:
            os.close(namespace)
        action()

    apart(enter)


def in_all_others(action: Callable[[], None]) -> str | None:
    """Do ``action`` in each network namespace but this one; return where and why it could not be done, or None."""
    own = Path("/proc/thread-self/ns/net").stat().st_ino
    failed = []
    for inode, paths in sorted(network_namespaces().items()):
        if inode != own and (reason := _in_one(paths, action)):
            failed.append(f"net:[{inode}] ({reason})")
    if not failed:
        return None
    more = [f"and {len(failed) - _LISTED} more"] if len(failed) > _LISTED else []
    return ", ".join([*failed[:_LISTED], *more])


def _in_one(paths: list[Path], action: Callable[[], None]) -> str | None:
    """Do ``action`` in the namespace that any of ``paths`` opens; return why it could not be done. One that has ended meanwhile is no failure."""
    for path in paths:
        try:
            _try_in(path, action)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as error:
            return error.strerror or str(error)
        except RecorderError as error:
            return error.message
        return None
    return None
