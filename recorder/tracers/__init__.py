"""Tracers: the units that a user can switch on. Each module of this folder declares one, as ``TRACER``; none is listed by hand.

A tracer's name is that of its module and of its C file: ``recorder/tracers/clone.py`` and ``bpf/clone.c``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

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
    misses_count: bool = True
    """A run that the kernel left out counts as an event lost. Not where another program stands in, and the tracer finds what is missing."""
    is_stand_in: bool = False
    in_each_net_ns: bool = False
    """It is to be run in every network namespace, since it sees no other than its own."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.hook}" + (" (stand-in)" if self.is_stand_in else "")


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
