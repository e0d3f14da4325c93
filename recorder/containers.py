"""Containers: which run now, and which one a user means."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.libc import checked, libc
from analyzer.text import printable
from recorder.apart import apart
from recorder.errors import RecorderError
from recorder.identity import Identity, identify, identify_by
from recorder.runtimes import Runtimes
from recorder.tracers.clone import cgroup_paths

_PREFIX = re.compile("[0-9a-f]{6,64}")
_FULL = re.compile("[0-9a-f]{64}")
_CLONE_NEWUTS = 0x04000000


@dataclass(frozen=True, slots=True)
class Running:
    """A container with processes: those of one pid namespace (its inode, and its depth below the initial one) and one container id.

    ``hostname`` is that of its uts namespace, which may be the host's own; None when it could not be asked. ``cgroup_paths`` are those in v2 and
    ``memory_cgroup_paths`` those in v1's memory controller, where v2's tell nothing.
    """

    container_id: str | None
    runtime: str | None
    pod_uid: str | None
    name: str | None
    image: str | None
    hostname: str | None
    pid_ns: int
    level: int
    cgroup_paths: tuple[str, ...]
    memory_cgroup_paths: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    identity: Identity
    level: int
    hostname: str | None = None
    paths: set[str] = field(default_factory=set)
    memory_paths: set[str] = field(default_factory=set)


def running(proc: Path = Path("/proc"), runtimes: Runtimes | None = None) -> list[Running]:
    """Return the containers that have processes now, in the order of their pid namespaces. Processes that end meanwhile are left out."""
    groups: dict[tuple[int, str, int], _Group] = {}  # users apart: anybody can make a group with the id of another's container
    hostnames: dict[int, str] = {}
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            pid_ns = _inode(str((folder / "ns" / "pid").readlink()))
            level = _level((folder / "status").read_bytes())
            path, memory_path = cgroup_paths((folder / "cgroup").read_bytes().decode("utf-8", "replace"))
        except (OSError, ValueError):  # it has ended, or is not ours to see
            continue
        identity = identify_by(path or "/", memory_path or "/")
        if level == 0 and identity.container_id is None:
            continue
        user = -1 if identity.user is None else identity.user
        group = groups.setdefault((pid_ns, identity.container_id or "", user), _Group(identity, level))
        if memory_path and (path in (None, "/") or identity != identify(path or "/")):
            group.memory_paths.add(memory_path)
        else:
            group.paths.add(path or "/")
        group.hostname = group.hostname or _hostname(folder / "ns" / "uts", hostnames)
    looked_up = runtimes or Runtimes()
    return [_running(key[0], group, looked_up) for key, group in sorted(groups.items(), key=lambda item: item[0])]


def _running(pid_ns: int, group: _Group, runtimes: Runtimes) -> Running:
    identity = group.identity
    named = runtimes.lookup(identity)
    return Running(
        container_id=identity.container_id,
        runtime=identity.runtime or (named.runtime if named else None),
        pod_uid=identity.pod_uid,
        name=(named.name if named else None) or identity.name,
        image=named.image if named else None,
        hostname=group.hostname,
        pid_ns=pid_ns,
        level=group.level,
        cgroup_paths=tuple(sorted(group.paths)),
        memory_cgroup_paths=tuple(sorted(group.memory_paths)),
    )


def _inode(link: str) -> int:
    """Return the number in the text of a namespace's link, ``pid:[4026531836]``. Raise ValueError when there is none."""
    return int(link.partition("[")[2].removesuffix("]"))


def _level(status: bytes) -> int:
    """Return how deep the process's own pid namespace is, from /proc/PID/status; 0 is that of /proc."""
    return next((len(line.split()) - 2 for line in status.split(b"\n") if line.startswith(b"NSpid:")), 0)


def _hostname(link: Path, known: dict[int, str]) -> str | None:
    """Return the host name in the uts namespace behind ``link``, asking once a namespace; None when it cannot be asked."""
    try:
        namespace = os.open(link, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        inode = os.fstat(namespace).st_ino
        if inode not in known:
            ours = inode == Path("/proc/self/ns/uts").stat().st_ino
            if (name := os.uname().nodename if ours else _hostname_in(namespace)) is None:
                return None
            known[inode] = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return known[inode]
    finally:
        os.close(namespace)


def _hostname_in(namespace: int) -> str | None:
    """Return the host name in the uts namespace of that descriptor."""

    def enter() -> str:
        checked(libc().setns(namespace, _CLONE_NEWUTS))
        return os.uname().nodename

    try:
        return apart(enter)
    except OSError:
        return None


def find(wanted: str, containers: Sequence[Running]) -> list[Running]:
    """Return the containers that ``wanted`` means: a name or id, a pod's name or uid, a host name, or 6 and more first digits of an id.

    A whole name beats a beginning. Raise RecorderError (exit 2) when there is none, or when a beginning fits several ids.
    """
    shown = f"--container {printable(shlex.quote(wanted))}"
    if not wanted:
        raise RecorderError(f"{shown}: a name has at least one character", _suggestion(wanted, containers))
    ours = os.uname().nodename
    ranks = (
        [container for container in containers if wanted in (container.name, container.container_id)],
        [container for container in containers if wanted in _pod_words(container)],
        [container for container in containers if wanted == container.hostname != ours],
    )
    if exact := next(filter(None, ranks), None):
        return exact
    begun = [one for one in containers if _PREFIX.fullmatch(wanted) and _FULL.fullmatch(_id(one)) and _id(one).startswith(wanted)]
    if len({container.container_id for container in begun}) > 1:
        raise RecorderError(f"{shown}: the ids of several containers begin so", f"give more of one: {_listed(map(_described, begun))}")
    if not begun:
        raise RecorderError(
            f"{shown}: no such container is running" if containers else f"{shown}: no container is running", _suggestion(wanted, containers)
        )
    return begun


def _id(container: Running) -> str:
    return container.container_id or ""


def _short(word: str) -> str:
    return word[:12] if _FULL.fullmatch(word) else word


def _pod_words(container: Running) -> set[str | None]:
    """Return what names the pod of a container, and it in the pod: of NAMESPACE/POD/CONTAINER each run that has the pod or the container."""
    parts = (container.name or "").split("/")
    runs = {"/".join(parts[first:last]) for first in range(len(parts)) for last in range(max(first + 1, 2), len(parts) + 1)}
    return (runs if len(parts) > 1 else set()) | {container.pod_uid}


def _described(container: Running) -> str:
    name = container.name or container.hostname
    return f"{_id(container)[:16]} ({name})" if name else _id(container)[:16]


def _called(container: Running) -> str:
    """Return what a user would type for it; empty when it has no name of any kind."""
    return container.name or _short(_id(container)) or container.hostname or ""


def _listed(names: Iterable[str], most: int = 8) -> str:
    distinct = list(dict.fromkeys(names))
    more = [f"and {len(distinct) - most} more"] if len(distinct) > most else []
    return ", ".join([*map(printable, distinct[:most]), *more])


def _suggestion(wanted: str, containers: Sequence[Running]) -> str:
    if not containers:
        return "names are looked up when the recording begins: start the container first"
    words = sorted({word for container in containers for word in _words(container)})
    begun = [word for word in words if wanted and word.startswith(wanted)]
    near = begun + difflib.get_close_matches(wanted, words, n=3)
    if near:
        return f"did you mean: {_listed(map(_short, near), 3)}"
    called = _listed(sorted({called for container in containers if (called := _called(container))}))
    return f"running now: {called}" if called else "the containers that run now have neither a name nor an id"


def _words(container: Running) -> set[str]:
    """Return all that finds it, but for beginnings of its id."""
    words = {container.name, container.container_id, container.hostname, *_pod_words(container)}
    return {word for word in words if word}
