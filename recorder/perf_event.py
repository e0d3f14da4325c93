"""Attach BPF programs to the kernel's tracepoints, by perf_event_open(2): numbers and layouts are those of linux/perf_event.h."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
from pathlib import Path

from analyzer.libc import checked, libc
from recorder import privilege, tracefs

_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "loongarch64": 241, "s390x": 331}
"""The call's number, on machines whose ioctl numbers are the usual ones."""
_TYPE_TRACEPOINT = 2
_ATTRIBUTES = struct.Struct("=IIQQQQQII64x")
"""``struct perf_event_attr``: type, size, config, sample_period, sample_type, read_format, flags, wakeup_events, bp_type; 120 bytes."""
_ANY_PID, _FIRST_CPU, _NO_GROUP, _CLOSE_ON_EXEC = -1, 0, -1, 8
_ENABLE, _SET_BPF = 0x2400, 0x40042408
_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
_PARANOID_UPSTREAM = 2
"""The most that this setting does in kernels without a distribution's changes."""


def reason(error: OSError) -> str:
    """Return why the kernel refuses an event: Debian's and Ubuntu's ask for CAP_SYS_ADMIN where kernel.perf_event_paranoid is high."""
    if error.errno == errno.EACCES and "CAP_SYS_ADMIN" not in privilege.effective():
        level = int(_PARANOID.read_text())
        if level > _PARANOID_UPSTREAM:
            return f"kernel.perf_event_paranoid is {level}, which takes CAP_SYS_ADMIN here; with {_PARANOID_UPSTREAM} CAP_PERFMON is enough"
    return error.strerror or str(error)


def attach(program: int, category: str, name: str) -> int:
    """Attach ``program`` to the tracepoint ``category:name``, on all CPUs; return the event's descriptor.

    Raise OSError where there is no such tracepoint (ENOENT), or the kernel refuses.
    """
    if (number := _NUMBERS.get(platform.machine())) is None:
        raise OSError(errno.ENOSYS, f"the number of perf_event_open(2) on {platform.machine()} is not known")
    tracepoint = int((tracefs.events() / category / name / "id").read_text())
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.pack(_TYPE_TRACEPOINT, _ATTRIBUTES.size, tracepoint, 1, 0, 0, 0, 1, 0))
    event = checked(int(libc().syscall(number, attributes, _ANY_PID, _FIRST_CPU, _NO_GROUP, ctypes.c_ulong(_CLOSE_ON_EXEC))))
    try:
        fcntl.ioctl(event, _SET_BPF, program)
        fcntl.ioctl(event, _ENABLE, 0)
    except OSError:
        os.close(event)
        raise
    return event
