"""Which BPF programs and maps the kernel has, asked by bpf(2) itself."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}[platform.machine()]
# enum bpf_cmd of linux/bpf.h
_LOOKUP, _GET_INFO = 1, 15
_GET_FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}
# struct bpf_map_info: the name is at this offset.
_MAP_NAME = slice(24, 40)
_libc = ctypes.CDLL(None, use_errno=True)


def held(pid: int) -> set[tuple[str, int]]:
    """Return the kind and id of all BPF objects that a process holds open, as /proc says."""
    found = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = info.read_text().splitlines()
        except FileNotFoundError:  # closed meanwhile, as the one that this folder is read through
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name in _GET_FD_BY_ID:
                found.add((name, int(value)))
    return found


def _bpf(command: int, attributes: bytes) -> int | None:
    """Call bpf(2); return what it returns, or None where there is no such thing."""
    result: int = _libc.syscall(_SYS_BPF, command, attributes, len(attributes))
    if result >= 0:
        return result
    if ctypes.get_errno() != errno.ENOENT:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return None


def exists(kind: str, number: int) -> bool:
    """Say whether the kernel still has the BPF object of this kind and id."""
    fd = _bpf(_GET_FD_BY_ID[kind], struct.pack("3I", number, 0, 0))
    if fd is not None:
        os.close(fd)
    return fd is not None


def has_key(pid: int, map_name: str, key: int) -> bool:
    """Say whether the map of this name that a process holds open has a value for ``key``, 32 bits wide."""
    key_buffer, value, info = ctypes.c_uint32(key), ctypes.create_string_buffer(4096), ctypes.create_string_buffer(80)
    for number in (number for kind, number in held(pid) if kind == "map_id"):
        fd = _bpf(_GET_FD_BY_ID["map_id"], struct.pack("3I", number, 0, 0))
        assert fd is not None
        try:
            _bpf(_GET_INFO, struct.pack("IIQ", fd, len(info), ctypes.addressof(info)))
            if info.raw[_MAP_NAME].rstrip(b"\0").decode() == map_name:
                return _bpf(_LOOKUP, struct.pack("IxxxxQQQ", fd, ctypes.addressof(key_buffer), ctypes.addressof(value), 0)) is not None
        finally:
            os.close(fd)
    raise AssertionError(f"process {pid} has no map called {map_name}")
