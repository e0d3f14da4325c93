"""Filters in the kernel: from what the user wrote to keys of the maps in ``bpf/filters.c``."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recorder.errors import RecorderError
from recorder.mounts import mounts
from recorder.privilege import in_initial_pid_namespace

ENTRIES = 65_536
COMM_BYTES = 15
_LARGEST_ID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Filters:
    """What rows a recording is restricted to. Values of one kind are alternatives, kinds must all hold."""

    pid: tuple[int, ...] = ()
    comm: tuple[bytes, ...] = ()
    uid: tuple[int, ...] = ()
    cgroup: tuple[int, ...] = ()
    followed: bool = False
    words: tuple[str, ...] = field(default=(), compare=False)
    """The filters as option=value, for the recording."""

    def flags(self) -> list[str]:
        """Return the compiler flags that switch the filters in use on; none when everything is wanted."""
        names = [name for name in ("pid", "comm", "uid", "cgroup", "followed") if getattr(self, name)]
        return [f"-DFILTER_{name}" for name in names] + ([f"-DFILTER_ENTRIES={ENTRIES}"] if names else [])

    def map_keys(self) -> list[tuple[str, int | bytes]]:
        """Return (map, key) of all values."""
        values: dict[str, tuple[int | bytes, ...]] = {"pid": self.pid, "comm": self.comm, "uid": self.uid, "cgroup": self.cgroup}
        return [(f"filter_{name}", key) for name, keys in values.items() for key in keys]


def parse(pids: Sequence[int], comms: Sequence[str], users: Sequence[str], cgroups: Sequence[str], follow: bool) -> Filters:
    """Return the filters for the options' values. Raise RecorderError (exit 2) for a value that nothing can match."""
    if (pids or follow) and not in_initial_pid_namespace():
        option = "--pid" if pids else "--follow-children"
        hint = "record on the host itself, or filter by --comm, --uid or --cgroup"
        raise RecorderError(f"{option}: process ids in this pid namespace are not those that the kernel records", hint)
    words = [f"pid={pid}" for pid in pids] + [f"comm={comm}" for comm in comms]
    words += [f"uid={user}" for user in users] + [f"cgroup={cgroup}" for cgroup in cgroups]
    if follow:
        words.append("follow-children")
    return Filters(
        pid=tuple(_pid(pid) for pid in pids),
        comm=tuple(_comm(comm) for comm in comms),
        uid=tuple(_uid(user) for user in users),
        cgroup=tuple(_cgroup(cgroup) for cgroup in cgroups),
        followed=follow,
        words=tuple(words),
    )


def _pid(pid: int) -> int:
    if pid <= 0 or not Path(f"/proc/{pid}").is_dir():
        raise RecorderError(f"--pid {pid}: no such process", "see: ps -e")
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError as error:  # it has ended meanwhile
        raise RecorderError(f"--pid {pid}: no such process", "see: ps -e") from error
    tgid = next(int(line.split()[1]) for line in status.split(b"\n") if line.startswith(b"Tgid:"))
    if tgid != pid:
        raise RecorderError(f"--pid {pid}: that is a thread of process {tgid}", f"--pid takes processes: --pid {tgid}")
    return pid


def _comm(comm: str) -> bytes:
    name = os.fsencode(comm)
    if not name:
        raise RecorderError("--comm '': a name has at least one byte", "see: ps -e")
    if len(name) > COMM_BYTES:
        kept = name[:COMM_BYTES].decode("utf-8", "ignore")
        raise RecorderError(f"--comm {comm}: the kernel keeps {COMM_BYTES} bytes of a name, so nothing matches", f"try: --comm '{kept}'")
    return name


def _uid(user: str) -> int:
    if user.isdecimal():
        if int(user) > _LARGEST_ID:
            raise RecorderError(f"--uid {user}: user ids end at {_LARGEST_ID}", "see: getent passwd")
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError) as error:
        raise RecorderError(f"--uid {user}: no such user", "give a number, or a name that is in: getent passwd") from error


def _mounts() -> list[Path]:
    """Return where the cgroup file systems are mounted: v2, and v1's memory controller."""
    return [mount.path for mount in mounts("cgroup", "cgroup2") if mount.kind == "cgroup2" or "memory" in mount.options]


def _cgroup(cgroup: str) -> int:
    if cgroup.isdecimal():
        return int(cgroup)
    mounts = _mounts()
    for folder in (Path(cgroup), *(mount / cgroup.lstrip("/") for mount in mounts)):
        if folder.is_dir() and any(folder == mount or mount in folder.parents for mount in mounts):
            return folder.stat().st_ino
    where = " or ".join(map(str, mounts)) or "any cgroup file system (none is mounted)"
    raise RecorderError(f"--cgroup {cgroup}: no such folder under {where}", "see: systemd-cgls, or cat /proc/PID/cgroup")
