"""A compiled C file of ``bpf/`` in the kernel: its maps are made, its functions loaded and attached, its counters read."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Set

from recorder import bpf_call, perf_event
from recorder.btf import Btf
from recorder.compiled import Compiled, Layout, Map, with_maps
from recorder.errors import Exit, RecorderError

_FIRST = bytes(4)
"""The key of an array's first entry."""


class BpfProgram:
    """One C file of ``bpf/``: its functions, rings and maps. Nothing of it outlives the process."""

    def __init__(self, source: str, compiled: Compiled, shared: Mapping[str, int] | None = None) -> None:
        """Make the maps of ``compiled``, except those that ``shared`` has descriptors of. Raise RecorderError (exit 70) where the kernel refuses."""
        self.name = source
        self._compiled = compiled
        self._functions: dict[str, int] = {}
        self._links: list[int] = []
        self._owned: list[int] = []
        self._specs: dict[str, Map] = {spec.name: spec for spec in compiled.maps}
        self.maps: dict[str, int] = {}
        """Descriptors by name."""
        for spec in compiled.maps:
            if shared and spec.name in shared:
                self.maps[spec.name] = shared[spec.name]
                continue
            try:
                self.maps[spec.name] = bpf_call.make_map(spec)
            except OSError as error:
                self.close()
                advice = "; a smaller --ring-mib or --sockets takes less" if error.errno == errno.ENOMEM else ""
                message = f"bpf/{source}: map {spec.name} cannot be made: {error.strerror}{advice}"
                raise RecorderError(message, "See: bpftape doctor", Exit.BPF) from error
            self._owned.append(self.maps[spec.name])

    def load(self, function: str, program_type: int, attach_type: int = 0, type_id: int = 0) -> int:
        """Load ``function``, and attach it to nothing; return its descriptor. Raise RecorderError where the kernel refuses."""
        if function in self._functions:
            return self._functions[function]
        places = {place: self.maps[spec.name] for place, spec in enumerate(self._compiled.maps)}
        fd = bpf_call.load(function, with_maps(self._compiled.functions[function], places), program_type, attach_type, type_id)
        self._functions[function] = fd
        self._owned.append(fd)
        return fd

    def attach_typed(self, function: str, type_id: int) -> int:
        """Attach ``function`` to the raw tracepoint whose typedef in the kernel's BTF is ``type_id``; return the program's id.

        Such a program (BPF_TRACE_RAW_TP) may follow the pointers that it is given. Raise RecorderError if refused.
        """
        return self._open(self.load(function, bpf_call.TRACING, bpf_call.TRACE_RAW_TP, type_id), None)

    def attach_raw_tracepoint(self, hook: str, function: str) -> int:
        """Attach ``function`` to the raw tracepoint ``hook``; return the program's id. Raise RecorderError if refused."""
        return self._open(self.load(function, bpf_call.RAW_TRACEPOINT), hook)

    def _open(self, fd: int, hook: str | None) -> int:
        try:
            self._links.append(bpf_call.open_raw_tracepoint(fd, hook))
        except OSError as error:
            where = f"raw tracepoint {hook}" if hook else "it cannot be attached"
            raise RecorderError(f"{where}: {error.strerror}", code=Exit.BPF) from error
        return bpf_call.program_id(fd)

    def attach_tracepoint(self, hook: str, function: str) -> int:
        """Attach ``function`` to the tracepoint ``hook`` (category:name), which needs tracefs; return the program's id.

        Raise RecorderError if refused.
        """
        fd = self.load(function, bpf_call.TRACEPOINT)
        category, _, name = hook.partition(":")
        try:
            self._links.append(perf_event.attach(fd, category, name))
        except OSError as error:
            raise RecorderError(f"tracepoint {hook}: {perf_event.reason(error)}", code=Exit.BPF) from error
        return bpf_call.program_id(fd)

    def attach_xdp(self, function: str, interface: int, mode: str) -> tuple[int, int]:
        """Attach ``function`` to the interface of that index, in the ``mode`` native or generic; return the program's id, and its link.

        Raise RecorderError where the kernel does not load it, and OSError where it does not attach it.
        """
        fd = self.load(function, bpf_call.XDP)
        link = bpf_call.link_xdp(fd, interface, mode)
        self._links.append(link)
        return bpf_call.program_id(fd), link

    def close_link(self, link: int) -> None:
        """Detach what is attached by ``link``."""
        if link in self._links:
            self._links.remove(link)
            os.close(link)

    def load_iterator(self, function: str, btf: Btf) -> int:
        """Load the iterator ``function``, called ``bpf_iter__TARGET``; return its id. Raise RecorderError if refused."""
        if (type_id := btf.function(f"bpf_iter_{_target(function)}")) is None:
            raise RecorderError(f"this kernel has no iterator {_target(function)}", code=Exit.BPF)
        return bpf_call.program_id(self.load(function, bpf_call.TRACING, bpf_call.TRACE_ITER, type_id))

    def run_iterator(self, function: str, over_map: str | None = None, make_room: Callable[[], object] = lambda: None) -> None:
        """Run the iterator ``function``, which is loaded, once: over all objects of its kind, or over the map of that name.

        ``make_room`` is called when a ring is full, and must empty it. Raise RecorderError if refused.
        """
        run = None
        try:
            run = bpf_call.open_iterator(self._functions[function], self.maps[over_map] if over_map else None)
            while _read_on(run, make_room):
                pass
        except OSError as error:
            raise RecorderError(f"iterator {_target(function)}: {error.strerror}", code=Exit.BPF) from error
        finally:
            if run is not None:
                os.close(run)

    def try_iterator(self, function: str, over_map: str) -> None:
        """Do all of :meth:`run_iterator` but running it: raise OSError if refused."""
        os.close(bpf_call.open_iterator(self._functions[function], self.maps[over_map]))

    def run_statistics(self) -> dict[str, tuple[int, int]]:
        """Return (runs, nanoseconds) by function since it was loaded; zeros unless :func:`bpf_call.enable_statistics` is in force."""
        counts = {name: bpf_call.program_runs(fd) for name, fd in self._functions.items()}
        return {name: (runs, time_ns) for name, (time_ns, runs, _) in counts.items()}

    def misses(self, function: str) -> int:
        """Return how often the kernel did not run ``function`` since it was at work on that CPU already; 0 where it does not count (before 5.12)."""
        fd = self._functions.get(function)
        return bpf_call.program_runs(fd)[2] if fd is not None else 0

    def ring_fd(self, table: str) -> int:
        """Return the file descriptor of the ring of ``table``."""
        return self.maps[f"{table}_ring"]

    def record_layout(self, table: str) -> Layout:
        """Return how the C struct lies in memory which is submitted to the ring of ``table``."""
        return self._compiled.records[table]

    def counters(self, table: str, left_out: Set[str] = frozenset()) -> tuple[int, int]:
        """Return (events, lost) of ``table`` since it was loaded, summed over the CPUs.

        A run of the functions ``left_out`` that the kernel left out, and that no stand-in made up for, may have been an event: it counts as lost.
        """
        misses = sum(self.misses(function) for function in left_out)
        numbers = bpf_call.words(self.per_cpu(f"{table}_counters", _FIRST))
        events, lost, stood_in = (sum(numbers[place::3]) for place in range(3))
        return events, lost + max(0, misses - stood_in)

    def per_cpu(self, table: str, key: bytes) -> bytes:
        """Return the values of ``key`` in the per-CPU map ``table``, one behind the other; raise OSError where there is no such key."""
        size = (self._specs[table].value_bytes + 7) // 8 * 8  # the kernel's own rounding
        return bpf_call.lookup(self.maps[table], key, size * bpf_call.possible_cpus())

    def keys(self, table: str) -> list[bytes]:
        """Return all keys of the map ``table``."""
        return bpf_call.keys(self.maps[table], self._specs[table].key_bytes)

    def put(self, table: str, key: int | bytes, leaf: int) -> None:
        """Set ``key`` to ``leaf`` in the map ``table``; raise RecorderError when it is full."""
        spec = self._specs[table]
        native = key.to_bytes(spec.key_bytes, sys.byteorder) if isinstance(key, int) else key[: spec.key_bytes].ljust(spec.key_bytes, b"\0")
        try:
            bpf_call.update(self.maps[table], native, leaf.to_bytes(spec.value_bytes, sys.byteorder))
        except OSError as error:
            reason = "it is full" if error.errno == errno.E2BIG else error.strerror
            raise RecorderError(f"filter {table} takes no more values: {reason}", code=Exit.BPF) from error

    def detach(self) -> None:
        """Detach every probe; the maps stay readable."""
        while self._links:
            os.close(self._links.pop())

    def close(self) -> None:
        """Detach, unload and free all."""
        self.detach()
        while self._owned:
            os.close(self._owned.pop())
        self._functions.clear()


def _target(function: str) -> str:
    return function.removeprefix("bpf_iter__")


def _read_on(iterator: int, make_room: Callable[[], object]) -> bool:
    """Let an iterator go on; return whether there is more. It says EAGAIN when a ring is full, and after a million objects, to let others run."""
    try:
        return bool(os.read(iterator, 4096))
    except BlockingIOError:
        make_room()
        return True
