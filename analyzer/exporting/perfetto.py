"""A trace for Perfetto's user interface: processes with what they ran, connects and connections as slices, losses and drops as counters.

Made with Perfetto's own Python package. The formats of packets are those of its documentation, "Track events" and "Synthetic trace data".
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import AnalyzerError
from analyzer.exporting import _timeline as timeline
from analyzer.exporting._timeline import Key, Slice

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket
    from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

    from analyzer.sandbox import Sandbox

DOC = "one trace for ui.perfetto.dev: processes, connects, losses and drops over time"
SUFFIX = ".perfetto-trace"

# enum BuiltinClock of Perfetto's clock_snapshot.proto.
_REALTIME, _MONOTONIC, _BOOTTIME = 1, 3, 6
_SEQUENCE = 1
_SEQUENCE_BEGINS = 1


def write(sandbox: Sandbox, target: Path) -> str:
    """Write the trace ``target``."""
    try:
        from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder
    except ImportError:
        raise AnalyzerError("Perfetto's Python package is not installed.", "pip install 'bpftape[perfetto]', or pip install perfetto") from None
    with target.open("xb") as file:
        target.chmod(0o600)
        trace = _Trace(StreamingTraceProtoBuilder(file), any(recording.place for recording in sandbox.recordings))
        _write_clocks(sandbox, trace)
        for life in timeline.lives(sandbox):
            trace.add_life(life)
        for name, found in (("TCP connects", timeline.connects(sandbox)), ("TCP connections", timeline.connections(sandbox))):
            for slices in found:
                trace.add_lanes(name, slices)
        for counter in timeline.counters(sandbox):
            trace.add_counter(counter)
    return f"{trace.processes:,} processes, {trace.slices:,} slices"


def _write_clocks(sandbox: Sandbox, trace: _Trace) -> None:
    for boottime_ns, monotonic_ns, realtime_ns in timeline.clocks(sandbox):
        packet = trace.packet(boottime_ns)
        packet.clock_snapshot.primary_trace_clock = _BOOTTIME
        for clock, value in ((_BOOTTIME, boottime_ns), (_MONOTONIC, monotonic_ns), (_REALTIME, realtime_ns)):
            packet.clock_snapshot.clocks.add(clock_id=clock, timestamp=value)
        trace.write(packet)


@dataclass(slots=True)
class _Trace:
    """A trace that is being written. ``names_hosts``: it is of a merged recording, and tracks are named after hosts, too."""

    _builder: StreamingTraceProtoBuilder
    names_hosts: bool = False
    processes: int = 0
    slices: int = 0
    _uuids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _of_process: dict[Key, int] = field(default_factory=dict)
    _begun: bool = False

    def packet(self, ts_ns: int) -> TracePacket:
        """Return a new packet of that time."""
        packet = self._builder.create_packet()
        packet.timestamp = ts_ns
        packet.timestamp_clock_id = _BOOTTIME
        packet.trusted_packet_sequence_id = _SEQUENCE
        if not self._begun:
            packet.sequence_flags = _SEQUENCE_BEGINS
            self._begun = True
        return packet

    def write(self, packet: TracePacket) -> None:
        """Append a packet."""
        self._builder.write_packet(packet)

    def add_life(self, life: timeline.Life) -> None:
        """Add a process: a track that is one slice long, with its programs inside."""
        uuid = self._of_process[life.key] = next(self._uuids)
        self.processes += 1
        packet = self.packet(life.whole.from_ns)
        packet.track_descriptor.uuid = uuid
        process = packet.track_descriptor.process
        process.pid, process.process_name, process.start_timestamp_ns = life.key[1], self._name(life.host, life.whole.name), life.key[2]
        process.cmdline.extend(life.cmdline)
        process.process_labels.extend(life.labels)
        self.write(packet)
        self._begin(uuid, life.whole)
        for program in life.programs:
            self._begin(uuid, program)
            self._end(uuid, program)
        self._end(uuid, life.whole)

    def add_lanes(self, name: str, found: timeline.Slices) -> None:
        """Add slices of one process, in order of their beginnings: those that overlap go into tracks of their own, side by side."""
        free: list[tuple[int, int]] = []
        process = self._of_process.get(found.key)
        name = self._name(found.host, name) if process is None else name
        for item in found.slices:
            is_free = free and free[0][0] <= item.from_ns
            lane = heapq.heappop(free)[1] if is_free else self._track(name, process, item.from_ns)
            self._begin(lane, item)
            self._end(lane, item)
            heapq.heappush(free, (item.to_ns, lane))

    def add_counter(self, counter: timeline.Counter) -> None:
        """Add a track of numbers."""
        uuid = self._track(self._name(counter.host, counter.name), None, 0, counter.unit)
        for ts_ns, value in counter.values:
            packet = self.packet(ts_ns)
            packet.track_event.type = packet.track_event.TYPE_COUNTER
            packet.track_event.track_uuid = uuid
            packet.track_event.double_counter_value = value
            self.write(packet)

    def _name(self, host: str | None, name: str) -> str:
        return f"{host or '?'}: {name}" if self.names_hosts else name

    def _track(self, name: str, parent: int | None, ts_ns: int, unit: str | None = None) -> int:
        uuid = next(self._uuids)
        packet = self.packet(ts_ns)
        packet.track_descriptor.uuid = uuid
        packet.track_descriptor.name = name
        if parent is not None:
            packet.track_descriptor.parent_uuid = parent
        if unit is not None:
            packet.track_descriptor.counter.unit_name = unit
        self.write(packet)
        return uuid

    def _begin(self, track: int, item: Slice) -> None:
        self.slices += 1
        packet = self.packet(item.from_ns)
        event = packet.track_event
        event.type, event.track_uuid, event.name = event.TYPE_SLICE_BEGIN, track, item.name
        event.categories.append(item.category)
        for name, value in item.details.items():
            _annotate(event.debug_annotations.add(name=name), value)
        self.write(packet)

    def _end(self, track: int, item: Slice) -> None:
        packet = self.packet(item.to_ns)
        packet.track_event.type, packet.track_event.track_uuid = packet.track_event.TYPE_SLICE_END, track
        self.write(packet)


def _annotate(annotation: Any, value: object) -> None:
    if isinstance(value, bool):
        annotation.bool_value = value
    elif isinstance(value, int):
        annotation.int_value = value
    elif isinstance(value, float):
        annotation.double_value = value
    else:
        annotation.string_value = str(value)
