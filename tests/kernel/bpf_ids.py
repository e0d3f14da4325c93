"""Which BPF programs, maps and links the kernel has, asked by bpf(2) itself."""

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
_GET_NEXT_ID = {"prog_id": 11, "map_id": 12, "link_id": 31}
_GET_FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}
# struct bpf_prog_info and bpf_map_info: the name is at these places; bpf_link_info: the program's id is.
_NAME = {"prog_id": slice(64, 80), "map_id": slice(24, 40)}
_LINKS_PROGRAM = struct.Struct("8xI")
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


def _bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int | None:
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


def _info(kind: str, number: int) -> bytes | None:
    """Return the first bytes of what the kernel says of a BPF object; None where it has gone."""
    fd = _bpf(_GET_FD_BY_ID[kind], struct.pack("3I", number, 0, 0))
    if fd is None:
        return None
    try:
        info = ctypes.create_string_buffer(80)
        _bpf(_GET_INFO, struct.pack("IIQ", fd, len(info), ctypes.addressof(info)))
        return info.raw
    finally:
        os.close(fd)


def name_of(kind: str, number: int) -> str | None:
    """Return the name of a program or map, for a link that of its program; None where it has gone."""
    info = _info(kind, number)
    if info is None:
        return None
    if kind == "link_id":
        return name_of("prog_id", _LINKS_PROGRAM.unpack_from(info)[0])
    return info[_NAME[kind]].rstrip(b"\0").decode()


def everything() -> set[tuple[str, int]]:
    """Return the kind and id of all BPF objects of the machine, whoever made them."""
    found = set()
    for kind, command in _GET_NEXT_ID.items():
        attributes = ctypes.create_string_buffer(struct.pack("3I", 0, 0, 0), 12)
        while _bpf(command, attributes) is not None:
            number = struct.unpack_from("I", attributes, 4)[0]
            found.add((kind, number))
            struct.pack_into("I", attributes, 0, number)
    return found


def has_key(pid: int, map_name: str, key: int) -> bool:
    """Say whether the map of this name that a process holds open has a value for ``key``, 32 bits wide."""
    key_buffer, value = ctypes.c_uint32(key), ctypes.create_string_buffer(4096)
    for number in (number for kind, number in held(pid) if kind == "map_id" and name_of(kind, number) == map_name):
        fd = _bpf(_GET_FD_BY_ID["map_id"], struct.pack("3I", number, 0, 0))
        assert fd is not None
        try:
            return _bpf(_LOOKUP, struct.pack("IxxxxQQQ", fd, ctypes.addressof(key_buffer), ctypes.addressof(value), 0)) is not None
        finally:
            os.close(fd)
    raise AssertionError(f"process {pid} has no map called {map_name}")
