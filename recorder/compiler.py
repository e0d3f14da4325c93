"""Compile the C files of ``bpf/``, each in a process of its own: ``python -m recorder.compiler`` is that process.

BCC is the compiler and nothing else, and no other module imports it. Apart from the recorder its files compile side by side (in threads it
crashes), and the memory of the compiler is gone when it has ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from analyzer.libc import libc
from recorder import cache, libraries
from recorder.compiled import Compiled, Layout, Map, layout, with_maps
from recorder.errors import Exit, RecorderError

_PR_SET_PDEATHSIG = 1
_WARNINGS = ("-Wno-macro-redefined", "-Wno-duplicate-decl-specifier", "-Werror=implicit-function-declaration")


def source_folder() -> Path:
    """Return the folder of the C files: beside this package in a checkout, inside of it in a wheel."""
    inside = Path(__file__).parent / "bpf"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "bpf"


def source_text(source: str, declarations: str) -> str:
    """Return the text that is compiled for ``bpf/<source>``, which goes behind ``declarations``."""
    # One text, not #includes: BCC rewrites map accesses in the main file only.
    folder = source_folder()
    return "\n".join([declarations, *(f'#line 1 "bpf/{name}"\n{(folder / name).read_text()}' for name in ("common.h", source))])


class NoCompiler(RecorderError):
    """BCC is missing, or does not load: nothing at all can be compiled."""


class Compilation:
    """The compilation of one C file, under way in a process of its own, or found in the cache."""

    def __init__(self, source: str, declarations: str, flags: Sequence[str]) -> None:
        self.source = source
        job = {"text": source_text(source, declarations), "flags": [f"-I{source_folder()}", *_WARNINGS, *flags]}
        self._entry = cache.entry(json.dumps(job), libraries.bcc_candidates())
        self._found = self._entry.read() if self._entry else None
        self._process: subprocess.Popen[str] | None = None
        if not self._found:
            self._start(job)

    def _start(self, job: dict[str, Any]) -> None:
        self._in, self._out, self._err = (_memory_file(name) for name in ("text", "compiled", "messages"))
        json.dump(job, self._in)
        self._in.seek(0)
        # BCC looks there for the kernel's headers. A session of its own: Ctrl-C is for the recorder, which waits for it.
        environment = {**os.environ, "BCC_KERNEL_SOURCE": str(source_folder() / "stubs")}
        words = [sys.executable, "-P", "-m", "recorder.compiler", str(os.getpid())]
        self._process = subprocess.Popen(
            words, stdin=self._in, stdout=self._out, stderr=self._err, env=environment, start_new_session=True, text=True
        )

    def result(self) -> Compiled:
        """Wait for it; raise RecorderError (exit 70) with the compiler's words where it fails, and NoCompiler where there is none."""
        if self._found:
            return self._found
        assert self._process
        status = self._process.wait()
        said = _content(self._out)
        if status == 0:
            compiled = Compiled.from_json(said)
            if self._entry:
                self._entry.write(compiled)
            return compiled
        if status == Exit.BPF:
            told = json.loads(said)
            raise NoCompiler(told["message"], told["hint"], Exit.BPF)
        messages = _content(self._err).splitlines()
        detail = "\n".join([line for line in messages if "error:" in line][:10] or messages[-10:])
        why = ": out of memory, if nobody else did it" if -status == signal.SIGKILL else ""
        how = f"the compiler was ended by signal {-status}{why}" if status < 0 else ""
        message = "\n".join(filter(None, (f"bpf/{self.source} cannot be compiled or its maps made:", how, detail)))
        raise RecorderError(message, "See: bpftape doctor", Exit.BPF)

    def close(self) -> None:
        """End it, if it still runs, and free what it used."""
        if self._process:
            self._process.kill()
            self._process.wait()
            for file in (self._in, self._out, self._err):
                file.close()
            self._process = None


def _memory_file(name: str) -> TextIO:
    return os.fdopen(os.memfd_create(f"bpftape-{name}"), "w+", encoding="utf-8", errors="replace")


def _content(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def compile_source(source: str, declarations: str, flags: Sequence[str]) -> Compiled:
    """Compile ``bpf/<source>`` behind ``declarations``; raise RecorderError (exit 70) with the compiler's words."""
    compilation = Compilation(source, declarations, flags)
    try:
        return compilation.result()
    finally:
        compilation.close()


def _records(program: Any, names: Sequence[str]) -> dict[str, Layout]:
    from bcc.table import RingBuf, _get_event_class  # what RingBuf.event() itself calls on its first event

    rings = {name: program[name] for name in names if name.endswith("_ring")}
    return {name.removesuffix("_ring"): layout(_get_event_class(ring)) for name, ring in rings.items() if isinstance(ring, RingBuf)}


def _compile(text: str, flags: Sequence[str]) -> Compiled:
    """Compile with BCC; raise RecorderError (exit 70) where it is missing, and Exception where it refuses."""
    from recorder import bpf_call

    bcc = libraries.load_bcc()
    program = bcc.BPF(text=text.encode(), cflags=list(flags))
    lib, module = bcc.lib, program.module
    for function, result in ((lib.bpf_table_name, ctypes.c_char_p), (lib.bpf_table_fd_id, ctypes.c_int)):  # bcc itself asks by name
        function.argtypes, function.restype = (ctypes.c_void_p, ctypes.c_size_t), result
    maps, places = [], {}
    for number in range(lib.bpf_num_tables(module)):
        name, fd = lib.bpf_table_name(module, number).decode(), lib.bpf_table_fd_id(module, number)
        places[fd] = number
        maps.append(Map(name, *bpf_call.map_info(fd)))
    functions = {}
    for number in range(lib.bpf_num_functions(module)):
        name = lib.bpf_function_name(module, number)
        functions[name.decode()] = with_maps(program.dump_func(name), places)
    return Compiled(tuple(maps), functions, _records(program, [each.name for each in maps]))


def main() -> int:
    """Compile what stdin asks for, and write it to stdout, as JSON; what BCC says goes to stderr. ``argv[1]`` is who waits for it."""
    libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # it has died before that
        return 1
    with suppress(OSError):  # where memory ends, rather this than the recorder, which says so, or what the host is there for
        Path("/proc/self/oom_score_adj").write_text("1000")
    job = json.load(sys.stdin)
    try:
        print(_compile(job["text"], job["flags"]).to_json())
    except RecorderError as error:
        json.dump({"message": error.message, "hint": error.hint}, sys.stdout)
        return Exit.BPF
    except Exception as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        status = main()
        sys.stdout.flush()
        os._exit(status)  # BCC's own clean-up at exit has nothing left to do
