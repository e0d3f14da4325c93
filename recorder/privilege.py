"""May this process record? Which capabilities it has, and what to type when they do not do."""

from __future__ import annotations

import shlex
import sys
from functools import cache
from pathlib import Path

from recorder.errors import Exit, RecorderError

# linux/capability.h
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_PERFMON": 38, "CAP_BPF": 39}


_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h


@cache
def in_initial_pid_namespace() -> bool:
    """Say whether process ids mean the same here as in the kernel's records. In a container they do not."""
    return Path("/proc/self/ns/pid").stat().st_ino == _INITIAL_PID_NAMESPACE


def initial_mount_namespace() -> int:
    """Return the inode of the host's mount namespace: that of kthreadd, which nobody can move, else the nearest that can be seen."""
    for process in ("2", "1"):
        try:
            return Path(f"/proc/{process}/ns/mnt").stat().st_ino
        except OSError:  # in a container, or a process with more capabilities than this one
            continue
    return Path("/proc/self/ns/mnt").stat().st_ino


def effective() -> frozenset[str]:
    """Return the names of those of :data:`CAPABILITIES` that are in force."""
    lines = Path("/proc/self/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
    return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)


def missing(drops: bool = False) -> list[str]:
    """Return the capabilities that are not in force and without which nothing can be recorded, or no packet dropped."""
    have = effective()
    if "CAP_SYS_ADMIN" in have:
        return []
    return [name for name in ("CAP_BPF", "CAP_PERFMON", *(["CAP_NET_ADMIN"] if drops else [])) if name not in have]


def require(drops: bool = False) -> None:
    """Raise RecorderError (exit 77) when this process may not load BPF programs, or not those that drop packets."""
    lacking = missing(drops)
    if lacking:
        again = shlex.join(["sudo", Path(sys.argv[0]).name or "record", *sys.argv[1:]])
        raise RecorderError(f"recording needs root ({' and '.join(lacking)} are missing)", f"try: {again}", Exit.PERMISSION)
