"""Containers as the kernel knows them: namespaces made by unshare(1), cgroups made here, and no runtime."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from tests.kernel.harness import Recording, Row, Spawner, cgroup_mounts, eventually, program, true_path

KINDS = sorted(cgroup_mounts())
IS_HYBRID = len(KINDS) == 2
ONLY_HYBRID = pytest.mark.skipif(not IS_HYBRID, reason="this host does not have cgroup v1's memory controller beside v2")
ALL_NAMESPACES = ("--pid", "--fork", "--kill-child", "--uts", "--net", "--mount", "--mount-proc")

_numbers = itertools.count()


def is_empty(group: Path) -> bool:
    return not (group / "cgroup.procs").read_text()


@contextmanager
def cgroup(kind: str, *parts: str | bytes) -> Iterator[Path]:
    """Make a cgroup at these parts of a path, below one of the test's own; remove it and all below, once the processes in them have ended."""
    top = cgroup_mounts()[kind] / f"bpftape-test-{os.getpid()}-{next(_numbers)}"
    folder = top.joinpath(*map(os.fsdecode, parts))
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        for place, _, _ in os.walk(top, topdown=False):
            eventually(f"{place} is empty", partial(is_empty, Path(place)))
            Path(place).rmdir()


def path_of(group: Path) -> str:
    """Return the path of a cgroup as the kernel has it, from the root of its hierarchy."""
    (mount,) = [mount for mount in cgroup_mounts().values() if group.is_relative_to(mount)]
    return "/" + os.fsencode(group.relative_to(mount)).decode("utf-8", "replace")


def inside(group: Path, unified: Path | None = None) -> list[str]:
    """Return the words that start what follows them in a cgroup: one of v2 or, with v2's root or the group ``unified`` there, one of v1."""
    unified = unified or cgroup_mounts().get("cgroup2")
    groups = [str(folder / "cgroup.procs") for folder in ([unified] if unified else []) + [group]]
    return ["/bin/sh", "-c", 'echo $$ >"$1" && echo $$ >"$2" && shift 2 && exec "$@"', "sh", groups[0], groups[-1]]


def namespace(pid: int, kind: str) -> int:
    """Return the inode of a process's namespace."""
    return Path(f"/proc/{pid}/ns/{kind}").stat().st_ino


class Box(Spawner):
    """A spawner in namespaces, and in a cgroup, of its own."""

    def __init__(self, group: Path, flags: Sequence[str] = ALL_NAMESPACES, hostname: str | bytes | None = None, unified: Path | None = None) -> None:
        self.group = group
        self.unified = unified
        self.hostname = hostname
        super().__init__(wrapper=[*inside(group, unified), "unshare", *flags, "--"])
        self.init = self._child(self.process.pid) if "--fork" in flags else self.process.pid
        """The spawner's process id outside of the box."""
        self.namespaces = {kind: namespace(self.init, kind) for kind in ("pid", "uts", "mnt", "net")}
        if hostname is not None:
            self.name(hostname)

    def __enter__(self) -> Self:
        return self

    @staticmethod
    def _child(pid: int) -> int:
        (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(child)

    def name(self, hostname: str | bytes, how: str = "exit") -> None:
        """Have a process in it set the host name, and then do nothing but end, or but make another one ("clone")."""
        self.spawn(1, *program("container_hostname", os.fsencode(hostname).hex(), how))

    def run(self, count: int) -> None:
        """Start a program in it so many times."""
        self.spawn(count, true_path())

    def rows(self, recording: Recording) -> list[Row]:
        """Return the rows of the table ``container`` with its pid and uts namespaces and its cgroup, in the order of time."""
        spaces = {f"{kind}_ns": self.namespaces[kind] for kind in ("pid", "uts")}
        rows = recording.rows("container", cgroup_id=(self.unified or self.group).stat().st_ino, **spaces)
        return sorted(rows, key=lambda row: int(row["ts_ns"]))
