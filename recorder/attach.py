"""From the tracers' declarations to attached probes: compiles, loads, fills filters, attaches, and notes each probe's fate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from recorder import bpf_call, clocks, namespaces, tracefs
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compilations import FILTERS, FOLLOW_PROBES, compilations, is_typed, of_interface, ring_bytes
from recorder.compiler import Compilation, NoCompiler
from recorder.decode import Decoder, record_dtype
from recorder.drain import Covered, discard
from recorder.errors import Exit, RecorderError
from recorder.filters import ENTRIES
from recorder.interfaces import find, interfaces
from recorder.privilege import in_initial_pid_namespace
from recorder.ring import HEADER_BYTES, Ring
from recorder.schema import TABLES
from recorder.tracers import Probe, all_tracers
from recorder.tracers.xdp import Dropper
from recorder.writer import Stream

if TYPE_CHECKING:
    from recorder.session import Options


@dataclass(slots=True)
class Attached:
    """All programs of a recording, its tables, and the rows of the ``probe`` table."""

    programs: list[BpfProgram] = field(default_factory=list)
    tables: list[Covered] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    droppers: list[Dropper] = field(default_factory=list)
    """Programs that drop packets, loaded and attached to nothing: recorder/samples.py does that when their time has come."""
    statistics: int | None = None
    filter_maps: Mapping[str, int] = field(default_factory=dict)
    """The maps of the filters, which all tracers look into."""
    follow: Callable[[int], None] | None = None
    """Begins to follow a process and its descendants, where that was asked for."""
    unfollowed: Callable[[], int] = lambda: 0
    """Tells how many descendants may not be followed, since there were too many, or the kernel left the program out."""
    notes: list[str] = field(default_factory=list)
    """What was changed on the host, for the user to know."""
    empty: Callable[[Sequence[Covered]], object] = discard
    """Empties rings: what is there already, when the probes attach, may be more than they hold."""
    make_room: Callable[[], object] = lambda: None
    """Empties those of the tracer that is being attached."""
    _last: list[Callable[[bool], None]] = field(default_factory=list)
    _last_tried: list[Callable[[], None]] = field(default_factory=list)

    def run_statistics(self) -> dict[str, tuple[int, int]]:
        """Return (runs, nanoseconds) by function, added up where several programs are of one; nothing where the kernel does not count."""
        if self.statistics is None:
            return {}
        found: dict[str, tuple[int, int]] = {}
        for program in self.programs:
            for name, (runs, time_ns) in program.run_statistics().items():
                before = found.get(name, (0, 0))
                found[name] = before[0] + runs, before[1] + time_ns
        return found

    def note_unfollowed(self) -> None:
        """Write down with the probes that descendants were not followed, if so."""
        count = self.unfollowed()
        for probe in self.probes:
            if count and probe["hook"] == str(FOLLOW_PROBES[0]) and probe["tracer"] == FILTERS:
                probe["reason"] = f"up to {count:,} descendants were not followed: more than {ENTRIES:,} at once, or unseen clones"

    def finally_run(self, probe: Probe, row: dict[str, Any], program: BpfProgram) -> None:
        """Have ``probe`` run before all is detached, and again after it; ``row`` is what the ``probe`` table says of it."""

        def run(detached: bool) -> None:
            try:
                program.put("detached", 0, int(detached))
                program.run_iterator(probe.function, over_map=probe.hook)
            except RecorderError as error:
                row.update(status="failed", reason=error.message)

        self._last.append(run)
        self._last_tried.append(partial(program.put, "detached", 0, 0))
        self._last_tried.append(partial(program.try_iterator, probe.function, probe.hook))

    def try_the_rest(self) -> None:
        """Ask the kernel for all that it is asked for until the end, which changes nothing. Raise OSError or RecorderError where it refuses."""
        for table in self.tables:
            table.read_counters()
        for dropper in self.droppers:
            dropper.read()
        self.run_statistics()
        for attempt in self._last_tried:
            attempt()

    def detach(self) -> None:
        """Detach every probe, and write down what had not ended; counters stay readable."""
        for run in self._last:
            run(False)
        for program in self.programs:
            program.detach()
        for run in self._last:
            run(True)
        self._last.clear()

    def close(self) -> None:
        """Detach and free everything."""
        for program in self.programs:
            program.close()
        self.programs.clear()
        if self.statistics is not None:
            os.close(self.statistics)
            self.statistics = None


def _attach_raw_tracepoint(program: BpfProgram, probe: Probe, btf: Btf) -> int:
    if not is_typed(btf):
        return program.attach_raw_tracepoint(probe.hook, probe.function)
    if (type_id := btf.raw_tracepoint_type(probe.hook)) is None:
        raise RecorderError("this kernel has no such tracepoint", code=Exit.BPF)
    return program.attach_typed(probe.function, type_id)


def _attach_probe(attached: Attached, program: BpfProgram, btf: Btf, probe: Probe, row: dict[str, Any]) -> int:
    """Attach ``probe``, or run it where it is there to be run; return the program's id."""
    if probe.kind == "raw_tracepoint":
        return _attach_raw_tracepoint(program, probe, btf)
    if probe.kind == "tracepoint":
        if tracefs.mount():
            attached.notes.append(f"mounted tracefs at {tracefs.PLACE}, and leave it there")
        return program.attach_tracepoint(probe.hook, probe.function)
    if probe.kind == "iterator" and not in_initial_pid_namespace():
        raise RecorderError("from inside a pid namespace only its own processes can be listed", code=Exit.BPF)
    program_id = program.load_iterator(probe.function, btf)
    if probe.kind == "iterator":
        _take_stock(attached, program, probe, row)
    else:
        attached.finally_run(probe, row, program)
    return program_id


def _take_stock(attached: Attached, program: BpfProgram, probe: Probe, row: dict[str, Any]) -> None:
    """Run an iterator; say in ``row`` where it could not be run."""
    run = partial(program.run_iterator, probe.function, make_room=attached.make_room)
    run()
    if probe.in_each_net_ns and (failed := namespaces.in_all_others(run)):
        row["reason"] = f"what no process holds is not listed in network namespaces that could not be visited: {failed}"


Action = Callable[[Probe, dict[str, Any]], int]


def _try_probes(attached: Attached, name: str, probes: Sequence[Probe], action: Action, required: bool) -> set[str]:
    """Attach ``probes``, note how each went, and return the tables whose probes all attached. Raise where one fails that is required."""
    whole = {table for probe in probes for table in probe.tables}
    for probe in probes:
        row: dict[str, Any] = {"tracer": name, "hook": str(probe), "tables": list(probe.tables), "status": "attached", "reason": None}
        try:
            row["program_id"] = action(probe, row)
            row["attached_ns"] = clocks.boottime_ns()
        except RecorderError as error:
            if required:
                raise RecorderError(f"tracer {name}: {probe} cannot be attached: {error.message}", "See: bpftape doctor", Exit.BPF) from error
            row |= {"status": "failed", "reason": error.message, "program_id": None, "attached_ns": None}
            whole -= set(probe.tables)
        attached.probes.append(row)
    return whole


def _refuse(error: RecorderError, _: Probe, __: dict[str, Any]) -> int:
    raise error


def _ring(program: BpfProgram, table: str, size: int, record_bytes: int) -> Ring:
    try:
        return Ring(program.ring_fd(table), size, record_bytes)
    except OSError as error:
        raise RecorderError(f"the ring of table {table} cannot be mapped: {error.strerror}", "try a smaller --ring-mib", Exit.BPF) from error


def _add_tracer(attached: Attached, name: str, compilation: Compilation, btf: Btf, options: Options, offset_ns: int) -> None:
    tracer = all_tracers()[name]
    probes = [probe for probe in tracer.probes if probe.when(btf)]
    derived = tracer.tables(options.argv)
    try:
        program = BpfProgram(compilation.source, compilation.result(), attached.filter_maps)
    except NoCompiler:
        raise
    except RecorderError as error:
        _try_probes(attached, name, probes, partial(_refuse, error), options.required)
        return
    attached.programs.append(program)
    for table, key in options.filters.map_keys(name):
        program.put(table, key, 1)
    covered = []
    for table, functions in derived.items():
        dtype = record_dtype(program.record_layout(table))
        ring = _ring(program, table, ring_bytes(tracer, table, options), dtype.itemsize - HEADER_BYTES)
        stream = Stream(name, ring, Decoder(TABLES[table], dtype, offset_ns, functions))
        left_out = {probe.function for probe in probes if probe.may_lose(table, btf)}
        covered.append(Covered(stream, partial(program.counters, table, left_out), attached=False, urgent=table in tracer.urgent))
    attached.make_room = partial(attached.empty, covered)
    whole = _try_probes(attached, name, probes, partial(_attach_probe, attached, program, btf), options.required)
    for entry in covered:
        entry.attached = entry.stream.table in whole
    attached.tables += covered


def _add_filters(attached: Attached, compilation: Compilation, btf: Btf, options: Options) -> None:
    program = BpfProgram(compilation.source, compilation.result())
    attached.programs.append(program)
    attached.filter_maps = program.maps
    for table, key in options.filters.map_keys(FILTERS):
        program.put(table, key, 1)
    if options.filters.followed:
        attached.follow = partial(program.put, "followed", leaf=1)
        attached.unfollowed = lambda: program.counters("followed", {FOLLOW_PROBES[0].function})[1]
        probes = [probe for probe in FOLLOW_PROBES if probe.when(btf)]
        _try_probes(attached, FILTERS, probes, partial(_attach_probe, attached, program, btf), required=True)


def _add_droppers(attached: Attached, started: Mapping[str, Compilation], options: Options) -> None:
    known = interfaces() if options.drops else {}
    for name, rules in options.drops.rules.items():
        interface = find(name, known)
        program = BpfProgram("xdp.c", started[of_interface(name)].result())
        attached.programs.append(program)
        attached.droppers.append(Dropper(program, interface, rules, options.drops.mode))


def try_to_attach(options: Options, offset_ns: int, empty: Callable[[Sequence[Covered]], object] = discard) -> Attached:
    """Compile, load and attach what ``options`` asks for; ``probes`` of the result says how each went, also when none attached.

    ``empty`` empties the rings of tables that are full before the recording begins.

    Raise RecorderError (exit 70) where not all of what was asked for by name attached.
    """
    btf = Btf.of_running_kernel()
    attached = Attached(empty=empty)
    try:
        with compilations(btf, options) as started:
            if FILTERS in started:
                _add_filters(attached, started[FILTERS], btf, options)
            if options.statistics:
                attached.statistics = bpf_call.enable_statistics()
            for name in options.tracers:
                if not all_tracers()[name].on_request:
                    _add_tracer(attached, name, started[name], btf, options, offset_ns)
            _add_droppers(attached, started, options)
    except BaseException:
        attached.close()
        raise
    return attached


def attach(options: Options, offset_ns: int, empty: Callable[[Sequence[Covered]], object]) -> Attached:
    """Do as :func:`try_to_attach`, and raise RecorderError (exit 70) also when nothing at all could be attached."""
    attached = try_to_attach(options, offset_ns, empty)
    if not attached.droppers and not any(table.attached for table in attached.tables):
        attached.close()
        reasons = "\n".join(f"  {probe['hook']}: {probe['reason']}" for probe in attached.probes if probe["reason"])
        raise RecorderError(f"nothing could be attached:\n{reasons}", "See: bpftape doctor", Exit.BPF)
    return attached
