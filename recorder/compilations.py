"""All compilations that a recording needs, side by side, and the flags that the C files take."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recorder import bpf_call
from recorder.btf import Btf, relocate
from recorder.compiler import Compilation, source_folder
from recorder.privilege import initial_mount_namespace
from recorder.tracers import Probe, Tracer, all_tracers, stand_in_flags, with_stand_in, xdp

if TYPE_CHECKING:
    from recorder.session import Options

MIB = 1 << 20
SMALL_RING_BYTES = MIB

FILTERS = "filters"
"""What takes a tracer's place where a filter's own program is meant."""
FOLLOW_PROBES = (
    *with_stand_in(Probe("raw_tracepoint", "task_newtask", "follow_newtask", ())),
    Probe("raw_tracepoint", "sched_process_free", "follow_free", ()),
)
"""What the filters' program is attached by, where descendants are to be followed."""


def is_typed(btf: Btf) -> bool:
    """Say whether programs may follow the pointers that the kernel hands them (Linux 5.11), instead of asking a helper for each word."""
    return bpf_call.is_known() and btf.enumerator("bpf_func_id", "BPF_FUNC_get_current_task_btf") is not None


def declarations(btf: Btf) -> str:
    """Return what goes in front of each C file: the kernel's types, with their members where the running kernel has them."""
    return relocate((source_folder() / "kernel_types.h").read_text(), btf)


def kernel_flags(btf: Btf, options: Options) -> list[str]:
    """Return the compiler flags that all C files take: what the kernel is like, and what the user asked for."""
    memory = btf.enumerator("cgroup_subsys_id", "memory_cgrp_id")
    flags = [f"-DPAGE_SIZE={mmap.PAGESIZE}UL", f"-DCPUS={os.cpu_count()}", f"-DSOCKETS={options.sockets}"]
    flags += [f"-DINITIAL_MNT_NS={initial_mount_namespace()}U", *options.filters.flags()]
    if memory is not None:
        flags.append(f"-DMEMORY_CGRP_ID={memory}")
    if is_typed(btf):
        flags.append("-DTYPED")
    if not options.argv:
        flags.append("-DNO_ARGV")
    return flags


def ring_bytes(tracer: Tracer, table: str, options: Options) -> int:
    """Return the size of a table's ring."""
    return options.ring_mib * MIB if table in tracer.hot else SMALL_RING_BYTES


def of_interface(name: str) -> str:
    """Return what names the compilation for the rules of an interface."""
    return f"xdp@{name}"


@contextmanager
def compilations(btf: Btf, options: Options) -> Iterator[dict[str, Compilation]]:
    """Compile what ``options`` asks for, all of it side by side; give out each C file's compilation by its tracer."""
    types = declarations(btf)
    common = kernel_flags(btf, options)
    flags = {FILTERS: [*common, *stand_in_flags(FOLLOW_PROBES, btf)]} if options.filters.by_task else {}
    for name, tracer in ((name, all_tracers()[name]) for name in options.tracers):
        if tracer.on_request:
            continue
        rings = (f"-DRING_PAGES_{table}={ring_bytes(tracer, table, options) // mmap.PAGESIZE}" for table in tracer.tables(options.argv))
        flags[name] = [*common, *tracer.flags(btf), *stand_in_flags(tracer.probes, btf), *rings]
    started: dict[str, Compilation] = {}
    try:
        for name, words in flags.items():
            started[name] = Compilation(f"{name}.c", types, words)
        for interface, rules in options.drops.rules.items():
            started[of_interface(interface)] = Compilation("xdp.c", types, [*common, *xdp.flags(rules)])
        yield started
    finally:
        for compilation in started.values():
            compilation.close()
