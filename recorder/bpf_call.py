"""The system call bpf(2), for the few things that BCC has no words for. Layouts are those of linux/bpf.h."""

from __future__ import annotations

import ctypes
import os
import platform

from recorder.errors import Exit, RecorderError

TRACE_RAW_TP = 23

_PROG_LOAD, _RAW_TRACEPOINT_OPEN = 5, 17
_PROG_TYPE_TRACING = 26
_INSTRUCTION_BYTES = 8
_LOG_BYTES = 1 << 20
_NAME_BYTES = 16
_NUMBERS = {"x86_64": 321, "aarch64": 280}


class _LoadProgram(ctypes.Structure):
    """``union bpf_attr`` as BPF_PROG_LOAD takes it, up to attach_btf_id (Linux 5.5)."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * _NAME_BYTES),
        ("prog_ifindex", ctypes.c_uint32),
        ("expected_attach_type", ctypes.c_uint32),
        ("prog_btf_fd", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("func_info", ctypes.c_uint64),
        ("func_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_uint64),
        ("line_info_cnt", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
    )


class _OpenRawTracepoint(ctypes.Structure):
    """``union bpf_attr`` as BPF_RAW_TRACEPOINT_OPEN takes it."""

    _fields_ = (("name", ctypes.c_uint64), ("prog_fd", ctypes.c_uint32), ("_padding", ctypes.c_uint32))


def is_known() -> bool:
    """Say whether this machine's number of bpf(2) is known here."""
    return platform.machine() in _NUMBERS


def _bpf(command: int, attributes: ctypes.Structure) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_NUMBERS[platform.machine()], command, ctypes.byref(attributes), ctypes.sizeof(attributes)))


def load_tracing(name: str, instructions: bytes, attach_type: int, type_id: int) -> int:
    """Load a program of type TRACING for the type ``type_id`` of the kernel's BTF; return its descriptor.

    Raise RecorderError (exit 70) with the verifier's last words where the kernel refuses.
    """
    code, licence = ctypes.create_string_buffer(instructions, len(instructions)), ctypes.create_string_buffer(b"GPL")
    attributes = _LoadProgram(
        prog_type=_PROG_TYPE_TRACING,
        insn_cnt=len(instructions) // _INSTRUCTION_BYTES,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(licence),
        prog_name=name.encode()[: _NAME_BYTES - 1],
        expected_attach_type=attach_type,
        attach_btf_id=type_id,
    )
    fd = _bpf(_PROG_LOAD, attributes)
    if fd >= 0:
        return fd
    reason = os.strerror(ctypes.get_errno())
    log = ctypes.create_string_buffer(_LOG_BYTES)
    attributes.log_level, attributes.log_size, attributes.log_buf = 1, _LOG_BYTES, ctypes.addressof(log)
    fd = _bpf(_PROG_LOAD, attributes)
    if fd >= 0:
        return fd
    said = [line for line in log.value.decode("utf-8", "replace").split("\n") if line and not line.startswith("processed ")]
    raise RecorderError(f"{name} cannot be loaded: {reason}" + (f": {said[-1]}" if said else ""), code=Exit.BPF)


def attach_tracing(program: int) -> int:
    """Attach a program to what it was loaded for; return the link's descriptor. Raise RecorderError (exit 70) where the kernel refuses."""
    link = _bpf(_RAW_TRACEPOINT_OPEN, _OpenRawTracepoint(prog_fd=program))
    if link < 0:
        raise RecorderError(f"it cannot be attached: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
    return link
