"""The compiler is a process of its own: what it says, and what is left when it, or who waits for it, is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.compiler import Compilation, NoCompiler, compile_source
from recorder.errors import Exit, RecorderError
from tests.kernel.bpf_ids import held
from tests.kernel.harness import eventually

BROKEN = '#error "of our own"\n'


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everything compiled."""
    monkeypatch.setenv("BPFTAPE_CACHE", str(tmp_path / "absent"))


def refusal(declarations: str) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        compile_source("doctor.c", declarations, [])
    return caught.value


@pytest.mark.usefixtures("no_cache")
def test_what_the_compiler_says_is_said() -> None:
    error = refusal(BROKEN)
    assert error.code == Exit.BPF
    assert error.message.startswith("bpf/doctor.c cannot be compiled or its maps made:\n")
    assert 'error: "of our own"' in error.message


@pytest.mark.usefixtures("no_cache")
def test_a_compiler_that_is_killed_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert "the compiler was ended by signal 9" in refusal("").message


@pytest.mark.usefixtures("no_cache")
def test_a_missing_bcc_is_told_apart_from_a_text_that_does_not_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BPFTAPE_BCC", str(tmp_path))
    error = refusal(BROKEN)
    assert isinstance(error, NoCompiler)
    assert "python3-bpfcc" in error.hint


@pytest.mark.usefixtures("no_cache")
def test_a_compilation_that_is_given_up_leaves_no_process_and_no_map() -> None:
    before, descriptors = held(os.getpid()), set(Path("/proc/self/fd").iterdir())
    compilation = Compilation("clone.c", BROKEN, [])
    assert compilation._process
    pid = compilation._process.pid
    compilation.close()
    assert not Path(f"/proc/{pid}").exists()
    assert (held(os.getpid()), set(Path("/proc/self/fd").iterdir())) == (before, descriptors)


@pytest.mark.usefixtures("no_cache")
def test_the_compiler_dies_with_who_waits_for_it() -> None:
    code = (
        "import time; from recorder.compiler import Compilation\n"
        "c = Compilation('clone.c', '', []); print(c._process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout
        pid = int(waiting.stdout.readline())
        waiting.kill()
    assert waiting.returncode == -signal.SIGKILL
    eventually("the compiler has ended", lambda: not Path(f"/proc/{pid}").exists())


def test_what_is_in_the_cache_is_not_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPFTAPE_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    from recorder.btf import Btf
    from recorder.compilations import declarations, kernel_flags
    from recorder.session import Options

    btf = Btf.of_running_kernel()
    types = declarations(btf)
    flags = [*kernel_flags(btf, Options(Path(), ())), "-DRING_PAGES_doctor=1"]
    first = compile_source("doctor.c", types, flags)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it is compiled again")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert compile_source("doctor.c", types, flags) == first
    assert set(first.functions) == {"doctor_ring_program", "doctor_xdp_program"}
    assert {spec.name for spec in first.maps} == {"doctor_ring", "doctor_counters"}
