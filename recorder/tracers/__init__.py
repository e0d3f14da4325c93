"""Tracers: the units that a user can switch on. Each module of this folder declares one, as ``TRACER``; none is listed by hand.

A tracer's name is that of its module and of its C file: ``recorder/tracers/clone.py`` and ``bpf/clone.c``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from recorder.bpf_call import possible_cpus

if TYPE_CHECKING:
    from recorder.btf import Btf
    from recorder.decode import Derive


@dataclass(frozen=True, slots=True)
class Probe:
    """One attachment: its kind, what it is attached to, the C function, the tables that need it, and on which kernels it is wanted.

    The kinds are ``raw_tracepoint`` (name), ``tracepoint`` (category:name), ``iterator`` (target; run once, at the start) and ``map_iterator``
    (one of the program's maps; run before all else is detached and again after it, which the program's array ``detached`` tells).
    """

    kind: str
    hook: str
    function: str
    tables: tuple[str, ...]
    when: Callable[[Btf], bool] = lambda _: True
    lossy: Callable[[Btf], tuple[str, ...]] | None = None
    """In which tables a run that the kernel left out, and that no stand-in made up for, counts as an event lost: in all of ``tables`` without it."""
    is_stand_in: bool = False
    """It does what another one on the same hook was left out of: see bpf/common.h."""
    in_each_net_ns: bool = False
    """It is to be run in every network namespace, since it sees no other than its own."""

    def may_lose(self, table: str, btf: Btf) -> bool:
        """Say whether a run that was left out may have been an event of ``table``."""
        return table in (self.lossy(btf) if self.lossy else self.tables)

    @property
    def name(self) -> str:
        """Return what it is called beside its kind."""
        return self.hook + (" (stand-in)" if self.is_stand_in else "")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def gives_way(btf: Btf) -> bool:
    """Say whether a task may have to give way in the middle of a raw tracepoint's program (Linux 7.0), or of one at a system call's exit (7.2).

    Tracepoints are guarded by SRCU then, and not by switching preemption off. The guard's type is in the kernel only since they are.
    """
    return btf.typedef("class_srcu_fast_notrace_t") is not None


def with_stand_in(
    probe: Probe, when: Callable[[Btf], bool] = gives_way, lossy: Callable[[Btf], tuple[str, ...]] = lambda _: ()
) -> tuple[Probe, Probe]:
    """Return ``probe``, and what stands in for it where tasks give way: its function and that one's stand-in are the PROGRAMS of bpf/common.h.

    ``when`` and ``lossy`` are the stand-in's own.
    """
    function = f"stand_in_{probe.function.removeprefix('on_')}"
    return probe, replace(probe, function=function, when=when, lossy=lossy, is_stand_in=True)


def stand_in_flags(probes: Sequence[Probe], btf: Btf) -> list[str]:
    """Return the compiler flags for a C file with these probes: whether any of them has a stand-in on this kernel, and why."""
    if not any(probe.is_stand_in and probe.when(btf) for probe in probes):
        return []
    return ["-DSTAND_INS", f"-DPOSSIBLE_CPUS={possible_cpus()}"] + (["-DGIVES_WAY"] if gives_way(btf) else [])


@dataclass(frozen=True, slots=True)
class Tracer:
    """One tracer.

    ``tables`` gives, for each table that it makes, the functions of those columns that are not fields of the C struct; it is told whether
    arguments of programs may be recorded. ``hot`` names the tables whose rings have the size of ``--ring-mib``, ``urgent`` those that are
    decoded as they come, since what their columns are looked up in may soon be gone. ``flags`` gives further compiler flags for a kernel.
    ``on_request`` marks a tracer that is attached only where an option of its own asks for it; it has no probes and no rings.
    Modules import numpy and pyarrow inside functions, so that ``record --list-tracers`` stays light.
    """

    doc: str
    probes: tuple[Probe, ...]
    tables: Callable[[bool], Mapping[str, Mapping[str, Derive]]]
    hot: frozenset[str] = frozenset()
    urgent: frozenset[str] = frozenset()
    flags: Callable[[Btf], Sequence[str]] = field(default=lambda _: ())
    on_request: bool = False


@cache
def all_tracers() -> dict[str, Tracer]:
    """Return every tracer by name, in alphabetical order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").TRACER for name in names}
