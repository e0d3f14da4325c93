"""bpf(2) as the recorder calls it, where the kernel's answers are what no test can have the kernel say at will."""

from __future__ import annotations

import ctypes
import errno
from types import SimpleNamespace

import pytest

from recorder import bpf_call
from recorder.errors import RecorderError

PROGRAM = bytes(16)
DESCRIPTOR = 123


def interrupted(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Have the verifier be interrupted by so many signals before it has its way; return what is asked of the kernel."""
    asked: list[int] = []

    def syscall(_number: int, command: int, *_: object) -> int:
        asked.append(command)
        ctypes.set_errno(errno.EAGAIN)
        return -1 if len(asked) <= times else DESCRIPTOR

    monkeypatch.setattr(bpf_call, "libc", lambda: SimpleNamespace(syscall=syscall))
    return asked


@pytest.mark.parametrize("times", [0, 1, 5])
def test_a_signal_while_a_program_is_loaded_costs_no_probe(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = interrupted(monkeypatch, times)
    assert bpf_call.load("on_exec", PROGRAM, bpf_call.RAW_TRACEPOINT) == DESCRIPTOR
    assert len(asked) == times + 1


def test_signals_without_end_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 1_000)
    with pytest.raises(RecorderError, match="on_exec cannot be loaded: signals kept the verifier from its work"):
        bpf_call.load("on_exec", PROGRAM, bpf_call.RAW_TRACEPOINT)
