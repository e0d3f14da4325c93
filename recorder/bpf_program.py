"""Everything that BCC is asked to do: compiling, attaching, and reading maps. No other module imports it."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from recorder import bpf_call, libraries
from recorder.errors import Exit, RecorderError

_BPF_STATS_RUN_TIME = 0
_BPF_XDP = 37
_XDP_FLAGS_SKB_MODE = 1 << 1
_PROG_INFO_BYTES = 256
# struct bpf_prog_info of linux/bpf.h: where id, and run_time_ns, run_cnt and recursion_misses are.
_PROG_ID, _PROG_RUN_TIME = struct.Struct("<4xI"), struct.Struct("<192xQQQ")


def source_folder() -> Path:
    """Return the folder of the C files: beside this package in a checkout, inside of it in a wheel."""
    inside = Path(__file__).parent / "bpf"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "bpf"


class _LinkOptions(ctypes.Structure):
    """``struct bpf_link_create_opts`` of libbpf, with room for what newer versions put behind."""

    _fields_ = (("size", ctypes.c_size_t), ("flags", ctypes.c_uint32), ("_rest", ctypes.c_uint8 * 60))


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Collect what C code writes to file descriptor 2 meanwhile; the list is filled on leaving."""
    lines: list[str] = []
    sys.stderr.flush()
    saved, capture = os.dup(2), os.memfd_create("bpftape-compiler")
    os.dup2(capture, 2)
    try:
        yield lines
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        with os.fdopen(capture, "rb") as file:
            file.seek(0)
            lines.extend(file.read().decode("utf-8", "replace").splitlines())


@contextmanager
def _stub_headers(folder: Path) -> Iterator[None]:
    """Have BCC look for the kernel's headers in ``folder`` meanwhile; the environment goes on to the command that is recorded."""
    before = os.environ.get("BCC_KERNEL_SOURCE")
    os.environ["BCC_KERNEL_SOURCE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["BCC_KERNEL_SOURCE"]
        else:
            os.environ["BCC_KERNEL_SOURCE"] = before


class BpfProgram:
    """One compiled C file of ``bpf/``: its functions, rings and maps. Nothing of it outlives the process."""

    def __init__(self, source: str, declarations: str, flags: Sequence[str]) -> None:
        """Compile ``bpf/<source>`` behind ``declarations``; raise RecorderError (exit 70) with the compiler's words."""
        bcc = libraries.load_bcc()
        folder = source_folder()
        # One text, not #includes: BCC rewrites map accesses in the main file only.
        parts = [declarations, *(f'#line 1 "bpf/{name}"\n{(folder / name).read_text()}' for name in ("common.h", source))]
        self.name = source
        self._lib: Any = bcc.lib
        with _captured_stderr() as messages, _stub_headers(folder / "stubs"):
            try:
                self._bpf: Any = bcc.BPF(
                    text="\n".join(parts), cflags=[f"-I{folder}", "-Wno-macro-redefined", "-Wno-duplicate-decl-specifier", *flags]
                )
                error = None
            except Exception as caught:
                error = caught
        if error is not None:
            detail = "\n".join([line for line in messages if "error:" in line][:10] or messages[-10:]) or str(error)
            raise RecorderError(f"bpf/{source} cannot be compiled or its maps made:\n{detail}", "See: bpftape doctor", Exit.BPF) from error
        self._kind = bcc.BPF
        self._links: list[int] = []
        self._owned: list[int] = []
        self._functions: dict[str, int] = {}

    def _load(self, function: str, program_type: int) -> Any:
        with _captured_stderr() as messages:
            try:
                loaded = self._bpf.load_func(function, program_type)
            except Exception as caught:
                loaded, reason = None, str(caught)
        if loaded is None:
            verdict = next((line for line in reversed(messages) if line and not line.startswith("processed ")), "")
            raise RecorderError(f"{reason}: {verdict}" if verdict else reason, code=Exit.BPF)
        self._functions[function] = loaded.fd
        return loaded

    def load_raw_tracepoint(self, function: str) -> None:
        """Load ``function`` and attach it to nothing. Raise RecorderError where the kernel refuses."""
        self._load(function, self._kind.RAW_TRACEPOINT)

    def load_xdp(self, function: str) -> None:
        """Load ``function`` as an XDP program and attach it to nothing. Raise RecorderError where the kernel refuses."""
        self._load(function, self._kind.XDP)

    def attach_generic_xdp(self, function: str, interface: int) -> None:
        """Attach ``function``, which is loaded, to the interface of that index. The link leaves with this process, also when it is killed.

        Raise RecorderError where the kernel refuses, or where there is no libbpf to make a link with.
        """
        options = _LinkOptions(ctypes.sizeof(_LinkOptions), _XDP_FLAGS_SKB_MODE)
        ctypes.set_errno(0)
        link = libraries.load_libbpf().bpf_link_create(self._functions[function], interface, _BPF_XDP, ctypes.byref(options))
        if link < 0:  # libbpf 0.x says -1 and sets errno, 1.x says -errno as well
            raise RecorderError(f"link to XDP: {os.strerror(ctypes.get_errno() or -link)}", code=Exit.BPF)
        self._links.append(link)

    def attach_typed(self, function: str, type_id: int) -> int:
        """Attach ``function`` to the raw tracepoint whose typedef in the kernel's BTF is ``type_id``; return the program's id.

        Such a program (BPF_TRACE_RAW_TP, which BCC has no name for) may follow the pointers that it is given. Raise RecorderError if refused.
        """
        fd = bpf_call.load_tracing(function, self._bpf.dump_func(function), bpf_call.TRACE_RAW_TP, type_id)
        self._functions[function] = fd
        self._owned.append(fd)
        self._links.append(bpf_call.attach_tracing(fd))
        return self._program_id(fd)

    def attach_raw_tracepoint(self, hook: str, function: str) -> int:
        """Attach ``function`` to the raw tracepoint ``hook``; return the program's id. Raise RecorderError if refused."""
        fd = self._load(function, self._kind.RAW_TRACEPOINT).fd
        link = self._lib.bpf_attach_raw_tracepoint(fd, hook.encode())  # BCC's own way takes each hook once
        if link < 0:
            raise RecorderError(f"raw tracepoint {hook}: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
        self._links.append(link)
        return self._program_id(fd)

    def attach_tracepoint(self, hook: str, function: str) -> int:
        """Attach ``function`` to the tracepoint ``hook`` (category:name), which needs tracefs; return the program's id.

        Raise RecorderError if refused.
        """
        fd = self._functions.get(function) or self._load(function, self._kind.TRACEPOINT).fd
        category, _, name = hook.partition(":")
        with _captured_stderr():
            event = self._lib.bpf_attach_tracepoint(fd, category.encode(), name.encode())
        if event < 0:
            raise RecorderError(f"tracepoint {hook}: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
        self._links.append(event)
        return self._program_id(fd)

    def load_iterator(self, function: str) -> int:
        """Load the iterator ``function``; return its id. Raise RecorderError if refused."""
        return self._program_id(self._load(function, self._kind.TRACING).fd)

    def run_iterator(self, function: str, over_map: str | None = None, make_room: Callable[[], object] = lambda: None) -> None:
        """Run the iterator ``function``, which is loaded, once: over all objects of its kind, or over the map of that name.

        ``make_room`` is called when a ring is full, and must empty it. Raise RecorderError if refused.
        """
        target = function.removeprefix("bpf_iter__")
        self._lib.bcc_iter_attach.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
        link_info = ctypes.c_uint32(self._bpf[over_map].map_fd) if over_map else None  # union bpf_iter_link_info
        link = self._lib.bcc_iter_attach(
            self._functions[function], ctypes.byref(link_info) if link_info else None, ctypes.sizeof(link_info) if link_info else 0
        )
        if link < 0:
            raise RecorderError(f"iterator {target}: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
        run = self._lib.bcc_iter_create(link)
        os.close(link)
        if run < 0:
            raise RecorderError(f"iterator {target}: {os.strerror(ctypes.get_errno())}", code=Exit.BPF)
        try:
            while _read_on(run, make_room):
                pass
        except OSError as error:
            raise RecorderError(f"iterator {target}: {error.strerror}", code=Exit.BPF) from error
        finally:
            os.close(run)

    def _info(self, fd: int) -> bytes:
        info = ctypes.create_string_buffer(_PROG_INFO_BYTES)
        size = ctypes.c_uint32(_PROG_INFO_BYTES)
        if self._lib.bpf_obj_get_info(fd, info, ctypes.byref(size)):
            return bytes(_PROG_INFO_BYTES)
        return info.raw

    def _program_id(self, fd: int) -> int:
        program_id: int = _PROG_ID.unpack_from(self._info(fd))[0]
        return program_id

    def run_statistics(self) -> dict[str, tuple[int, int]]:
        """Return (runs, nanoseconds) by function since it was loaded; zeros unless :func:`enable_statistics` is in force."""
        counts = {name: _PROG_RUN_TIME.unpack_from(self._info(fd)) for name, fd in self._functions.items()}
        return {name: (runs, time_ns) for name, (time_ns, runs, _) in counts.items()}

    def misses(self, function: str) -> int:
        """Return how often the kernel did not run ``function`` since it was at work on that CPU already; 0 where it does not count (before 5.12)."""
        fd = self._functions.get(function)
        return int(_PROG_RUN_TIME.unpack_from(self._info(fd))[2]) if fd is not None else 0

    def ring_fd(self, table: str) -> int:
        """Return the file descriptor of the ring of ``table``."""
        fd: int = self._bpf[f"{table}_ring"].map_fd
        return fd

    def record_class(self, table: str) -> type[ctypes.Structure]:
        """Return the ctypes class that BCC derives from the C struct which is submitted to the ring of ``table``."""
        from bcc.table import _get_event_class  # what RingBuf.event() itself calls on its first event

        record: type[ctypes.Structure] = _get_event_class(self._bpf[f"{table}_ring"])
        return record

    def consume(self, table: str, callback: Callable[[Any], None]) -> Callable[[int], int]:
        """Have BCC call ``callback`` with each event of ``table``, as its own tools do; return its poll function (milliseconds).

        The recorder never does this: its benchmark measures it against this way.
        """
        ring = self._bpf[f"{table}_ring"]
        ring.open_ring_buffer(lambda _context, data, _size: callback(ring.event(data)))
        return cast("Callable[[int], int]", self._bpf.ring_buffer_poll)

    def counters(self, table: str) -> tuple[int, int]:
        """Return (events, lost) of ``table`` since it was loaded, summed over the CPUs."""
        counters = self._bpf[f"{table}_counters"]
        per_cpu = counters[counters.Key(0)]
        return sum(cpu.events for cpu in per_cpu), sum(cpu.lost for cpu in per_cpu)

    def put(self, table: str, key: int | bytes, leaf: int) -> None:
        """Set ``key`` to ``leaf`` in the hash ``table``; raise RecorderError when it is full."""
        hash_map = self._bpf[table]
        native = hash_map.Key()
        if isinstance(key, bytes):
            ctypes.memmove(ctypes.addressof(native), key, min(len(key), ctypes.sizeof(native)))
        else:
            native.value = key
        try:
            hash_map[native] = hash_map.Leaf(leaf)
        except Exception as error:
            raise RecorderError(f"filter {table} takes no more values: {error}") from error

    def detach(self) -> None:
        """Detach every probe; the maps stay readable."""
        while self._links:
            os.close(self._links.pop())

    def close(self) -> None:
        """Detach, unload and free all."""
        self.detach()
        while self._owned:
            os.close(self._owned.pop())
        self._bpf.cleanup()


def _read_on(iterator: int, make_room: Callable[[], object]) -> bool:
    """Let an iterator go on; return whether there is more. It says EAGAIN when a ring is full, and after a million objects, to let others run."""
    try:
        return bool(os.read(iterator, 4096))
    except BlockingIOError:
        make_room()
        return True


def enable_statistics() -> int | None:
    """Ask the kernel to count the runs of BPF programs, and the time they take; return a descriptor that holds it so, or None.

    The kernel stops when the descriptor is closed, so nothing stays behind. Needs CAP_SYS_ADMIN and Linux 5.8.
    """
    lib = libraries.load_bcc().lib
    try:
        fd = int(lib.bpf_enable_stats(_BPF_STATS_RUN_TIME))
    except AttributeError:  # a libbcc with its own libbpf inside does not export it
        return None
    return fd if fd >= 0 else None
