"""May this process record? Which capabilities it has, and what to type when they do not do."""

from __future__ import annotations

import os
import shlex
import sys
from functools import cache
from pathlib import Path

from recorder.errors import Exit, RecorderError

# linux/capability.h
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_KILL": 5,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}

PURPOSES = {
    "CAP_BPF": "make maps and load programs",
    "CAP_PERFMON": "read kernel memory and attach to tracepoints",
    "CAP_DAC_READ_SEARCH": "read what only root may: tracefs, for accepted connections, and files of container runtimes",
    "CAP_SYS_PTRACE": "read which program other users' processes run, for the process table",
    "CAP_SYS_ADMIN": "time BPF programs, for the cost table, look into other network namespaces, and mount tracefs where it is not",
    "CAP_NET_ADMIN": "attach XDP programs, which drops need",
}
"""What recording does with each; without the first two there is none."""

STAND_INS = {"CAP_BPF": "CAP_SYS_ADMIN", "CAP_PERFMON": "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH": "CAP_DAC_OVERRIDE"}
"""Capabilities that have all the rights of another."""

_COSTS = {
    "CAP_DAC_READ_SEARCH": "accepted connections are not recorded, nor what connect(2) returned; containers have no names and images",
    "CAP_SYS_PTRACE": "of other users' processes that were there before, the program (exe) is not known",
    "CAP_SYS_ADMIN": "BPF programs are not timed; in other network namespaces only sockets that a process holds are found",
}

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


def costs() -> list[str]:
    """Return, a line for each capability that is not in force and that recording can do without, what is then missing in it."""
    have = effective()
    lacking = [name for name in _COSTS if name not in have and STAND_INS.get(name) not in have]
    if os.geteuid() == 0 and "CAP_DAC_READ_SEARCH" in lacking:  # most of these files are its own
        lacking.remove("CAP_DAC_READ_SEARCH")
    return [f"without {name}: {_COSTS[name]}" for name in lacking]


def require(drops: bool = False) -> None:
    """Raise RecorderError (exit 77) when this process may not load BPF programs, or not those that drop packets."""
    lacking = missing(drops)
    if lacking:
        again = shlex.join(["sudo", Path(sys.argv[0]).name or "record", *sys.argv[1:]])
        raise RecorderError(f"recording needs root ({' and '.join(lacking)} are missing)", f"try: {again}", Exit.PERMISSION)
