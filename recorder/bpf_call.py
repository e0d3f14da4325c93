"""The system call bpf(2): numbers and layouts are those of linux/bpf.h.

Everything that is made here is a descriptor, and gone from the kernel when this process is, however it ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from contextlib import suppress
from functools import cache

from analyzer.libc import checked, libc
from recorder.compiled import INSTRUCTION_BYTES, Map
from recorder.errors import Exit, RecorderError

TRACEPOINT, XDP, RAW_TRACEPOINT, TRACING = 5, 6, 17, 26
"""Types of programs."""
TRACE_RAW_TP, TRACE_ITER = 23, 28
"""What a program of type TRACING is for."""

XDP_FLAGS = {"generic": 1 << 1, "native": 1 << 2}

_XDP_LINK = 37
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD = 0, 1, 2, 5
_MAP_NEXT_KEY, _PROG_TEST_RUN, _PROG_BY_ID = 4, 10, 13
_OBJ_GET_INFO, _RAW_TRACEPOINT_OPEN, _LINK_CREATE, _ENABLE_STATS, _ITER_CREATE = 15, 17, 28, 32, 33
_STATS_RUN_TIME = 0
_LOG_BYTES = 1 << 20
_LOADS = 10
_NAME_BYTES = 16
_INFO_BYTES = 256
# struct bpf_prog_info: where the name is; struct bpf_link_info: where an XDP link has its interface.
_PROG_NAME, _LINK_INTERFACE = slice(64, 80), slice(16, 20)
# What the kernel leaves in the attributes of a test run: verdict, and mean time in ns.
_TEST_RUN = struct.Struct("=4xI28xI")
# struct bpf_prog_info: where id, and run_time_ns, run_cnt and recursion_misses are. struct bpf_map_info: type to map_flags.
_PROG_ID, _PROG_RUNS, _MAP_INFO = struct.Struct("=4xI"), struct.Struct("=192xQQQ"), struct.Struct("=I4xIIII")
# The number of the call by machine; for none of these does another table of system calls exist that Python could use.
_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64le": 361}


def is_known() -> bool:
    """Say whether this machine's number of bpf(2) is known here."""
    return platform.machine() in _NUMBERS


def _bpf(command: int, layout: str, *values: int | bytes) -> int:
    """Make the call with attributes of that layout; return what it returns, and raise OSError where it fails."""
    return _answered(command, layout, *values)[0]


def _answered(command: int, layout: str, *values: int | bytes) -> tuple[int, bytes]:
    """Do so, and return the attributes as the kernel left them as well."""
    if (number := _NUMBERS.get(platform.machine())) is None:
        raise OSError(errno.ENOSYS, f"the number of bpf(2) on {platform.machine()} is not known")
    attributes = ctypes.create_string_buffer(struct.pack("=" + layout, *values))
    result = checked(int(libc().syscall(number, command, attributes, len(attributes.raw) - 1)))
    return result, attributes.raw[:-1]


def _charged(command: int, layout: str, *values: int | bytes) -> int:
    """Do so; where the kernel charges what is made to RLIMIT_MEMLOCK (before 5.11) and refuses, lift the limit and try again."""
    try:
        return _bpf(command, layout, *values)
    except PermissionError:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        if resource.getrlimit(resource.RLIMIT_MEMLOCK) == unlimited:
            raise
        with suppress(OSError, ValueError):  # it takes CAP_SYS_RESOURCE
            resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
        return _bpf(command, layout, *values)


def make_map(spec: Map) -> int:
    """Make a map; return its descriptor. Raise OSError where the kernel refuses."""
    name = spec.name.encode()[: _NAME_BYTES - 1]
    return _charged(_MAP_CREATE, "IIIIIII16s", spec.type, spec.key_bytes, spec.value_bytes, spec.max_entries, spec.flags, 0, 0, name)


def lookup(fd: int, key: bytes, value_bytes: int) -> bytes:
    """Return the value of ``key`` in a map; raise OSError where it has none (ENOENT) or the kernel refuses."""
    key_buffer, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value_bytes)
    _bpf(_MAP_LOOKUP, "I4xQQQ", fd, ctypes.addressof(key_buffer), ctypes.addressof(value), 0)
    return value.raw


def keys(fd: int, key_bytes: int) -> list[bytes]:
    """Return the keys of a map; raise OSError where the kernel refuses."""
    found: list[bytes] = []
    key, after = ctypes.create_string_buffer(key_bytes), ctypes.create_string_buffer(key_bytes)
    try:
        while True:
            _bpf(_MAP_NEXT_KEY, "I4xQQ", fd, ctypes.addressof(key) if found else 0, ctypes.addressof(after))
            found.append(after.raw)
            key.raw = after.raw
    except FileNotFoundError:  # that was the last one
        return found


def update(fd: int, key: bytes, value: bytes) -> None:
    """Set ``key`` to ``value`` in a map; raise OSError where it is full (E2BIG) or the kernel refuses."""
    key_buffer, value_buffer = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
    _bpf(_MAP_UPDATE, "I4xQQQ", fd, ctypes.addressof(key_buffer), ctypes.addressof(value_buffer), 0)


def load(name: str, instructions: bytes, program_type: int, attach_type: int = 0, type_id: int = 0) -> int:
    """Load a program; return its descriptor. One of type TRACING is for the type ``type_id`` of the kernel's BTF.

    Raise RecorderError (exit 70) with the verifier's last words where the kernel refuses.
    """
    code, licence = ctypes.create_string_buffer(instructions, len(instructions)), ctypes.create_string_buffer(b"GPL")
    short = name.encode()[: _NAME_BYTES - 1]

    def attempt(log_level: int, log_bytes: int, log: int) -> int:
        count, start = len(instructions) // INSTRUCTION_BYTES, ctypes.addressof(code)
        head = (program_type, count, start, ctypes.addressof(licence), log_level, log_bytes, log, 0, 0, short, 0, attach_type)
        for _ in range(_LOADS):
            with suppress(BlockingIOError):  # EAGAIN: the verifier gives up when a signal comes, which may be one of several
                return _charged(_PROG_LOAD, "IIQQIIQII16sIII4xQI4xQII", *head, 0, 0, 0, 0, 0, type_id)
        raise OSError(errno.EINTR, "signals kept the verifier from its work")

    try:
        return attempt(0, 0, 0)
    except OSError as error:
        reason = error.strerror
    log = ctypes.create_string_buffer(_LOG_BYTES)
    with suppress(OSError):
        return attempt(1, _LOG_BYTES, ctypes.addressof(log))
    said = [line for line in log.value.decode("utf-8", "replace").split("\n") if line and not line.startswith("processed ")]
    raise RecorderError(f"{name} cannot be loaded: {reason}" + (f": {said[-1]}" if said else ""), code=Exit.BPF)


def open_raw_tracepoint(program: int, name: str | None = None) -> int:
    """Attach a program to the raw tracepoint ``name``, or to what it was loaded for; return the link's descriptor. Raise OSError if refused."""
    hook = ctypes.create_string_buffer(name.encode()) if name else None
    return _bpf(_RAW_TRACEPOINT_OPEN, "QI4x", ctypes.addressof(hook) if hook else 0, program)


def open_iterator(program: int, map_fd: int | None = None) -> int:
    """Return a descriptor; reading it to its end runs the iterator ``program`` over all that it is for, or over a map. Raise OSError if refused."""
    info = ctypes.c_uint32(map_fd) if map_fd is not None else None  # union bpf_iter_link_info
    link = _bpf(_LINK_CREATE, "IIIIQI4x", program, 0, TRACE_ITER, 0, ctypes.addressof(info) if info else 0, ctypes.sizeof(info) if info else 0)
    try:
        return _bpf(_ITER_CREATE, "II", link, 0)
    finally:
        os.close(link)


def link_xdp(program: int, interface: int, mode: str) -> int:
    """Attach an XDP program to the interface of that index, in the ``mode`` native or generic; return the link's descriptor.

    The program leaves with the link, and that with this process, also when it is killed. Never takes another program's place.
    Raise OSError where the kernel refuses.
    """
    return _bpf(_LINK_CREATE, "IIII", program, interface, _XDP_LINK, XDP_FLAGS[mode])


def _info(fd: int) -> bytes:
    info = ctypes.create_string_buffer(_INFO_BYTES)
    _bpf(_OBJ_GET_INFO, "IIQ", fd, _INFO_BYTES, ctypes.addressof(info))
    return info.raw


def map_info(fd: int) -> tuple[int, int, int, int, int]:
    """Return (type, bytes of a key, bytes of a value, entries, flags) of a map."""
    return _MAP_INFO.unpack_from(_info(fd))


def linked_interface(link: int) -> int:
    """Return the index of the interface that an XDP link is attached to; 0 when that has gone."""
    return int.from_bytes(_info(link)[_LINK_INTERFACE], sys.byteorder)


def open_program(number: int) -> int:
    """Return a descriptor of the program that has this number in the kernel; raise OSError where there is none."""
    return _bpf(_PROG_BY_ID, "III", number, 0, 0)


def program_name(number: int) -> str:
    """Return the name of the program of that number; empty where it has none or has gone, or to ask, which takes CAP_SYS_ADMIN, is not ours."""
    try:
        fd = open_program(number)
    except OSError:
        return ""
    try:
        return _info(fd)[_PROG_NAME].split(b"\0")[0].decode("utf-8", "replace")
    finally:
        os.close(fd)


def run_xdp(program: int, frame: bytes, repeat: int = 1) -> tuple[int, int]:
    """Have the kernel run an XDP program on ``frame``, which nothing else sees, ``repeat`` times; return (verdict, mean ns).

    Raise OSError where the kernel refuses: frames shorter than an Ethernet header, for one.
    """
    data = ctypes.create_string_buffer(frame, len(frame))
    _, left = _answered(_PROG_TEST_RUN, "IIIIQQII", program, 0, len(frame), 0, ctypes.addressof(data), 0, repeat, 0)
    verdict, mean_ns = _TEST_RUN.unpack(left)
    return verdict, mean_ns


def program_id(fd: int) -> int:
    """Return the kernel's number of a program; 0 where it does not tell."""
    with suppress(OSError):
        return int(_PROG_ID.unpack_from(_info(fd))[0])
    return 0


def program_runs(fd: int) -> tuple[int, int, int]:
    """Return (nanoseconds, runs, runs left out) of a program since it was loaded; zeros where the kernel does not count them."""
    with suppress(OSError):
        time_ns, runs, misses = _PROG_RUNS.unpack_from(_info(fd))
        return time_ns, runs, misses
    return 0, 0, 0


def enable_statistics() -> int | None:
    """Ask the kernel to count the runs of BPF programs, and the time they take; return a descriptor that holds it so, or None.

    The kernel stops when the descriptor is closed, so nothing stays behind. Needs CAP_SYS_ADMIN and Linux 5.8.
    """
    with suppress(OSError):
        return _bpf(_ENABLE_STATS, "I", _STATS_RUN_TIME)
    return None


@cache
def possible_cpus() -> int:
    """Return how many values an entry of a per-CPU map has: one for each CPU that this machine may ever have."""
    last = 0
    with open("/sys/devices/system/cpu/possible") as file:
        for part in file.read().strip().split(","):
            last = max(last, int(part.rpartition("-")[2]))
    return last + 1


def words(data: bytes) -> list[int]:
    """Return ``data`` as unsigned 64-bit numbers of this machine."""
    return [int.from_bytes(data[at : at + 8], sys.byteorder) for at in range(0, len(data), 8)]
