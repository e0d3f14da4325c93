"""Hold a whole recording against its manifest and its coverage: what is damaged, what is missing, what can still be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError
from analyzer.gaps import COLUMNS, Covered, Missing, covered, damage, holes, tail
from analyzer.manifest import Manifest, Segment
from analyzer.parallel import each
from analyzer.progress import Advance
from analyzer.recording import check_single, open_store, read_manifest, stores
from analyzer.segment_check import Checked, check_segment, rows_of
from analyzer.store import FolderStore, Store, is_being_written
from recorder.schema import MANIFEST, NANOSECONDS, TABLES

# Two CPUs may take their times in another order than their places in the ring. More than this much is another thing.
_DISORDER_NS = NANOSECONDS
# A recorder that ends just now replaces the segments of two tables.
_LOOKS = 3


class State(StrEnum):
    """What a recording is, in a word."""

    WHOLE = "whole"
    UNFINISHED = "unfinished"
    BEING_WRITTEN = "being written"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a recording. ``damage`` says that it is not as it was written; the rest is worth knowing."""

    where: str
    what: str
    damage: bool = True


@dataclass(slots=True)
class Verified:
    """What was found out about one recording."""

    path: Path
    id: str
    recorder: str
    state: State = State.WHOLE
    segments: int = 0
    rows: int = 0
    bytes: int = 0
    sound_segments: int = 0
    sound_rows: int = 0
    decodable_rows: int = 0
    """Rows of damaged segments that can still be decoded; any value of them may be another one than was written."""
    offset_ns: int | None = None
    """What wall clock and CLOCK_BOOTTIME differ by."""
    name: str = ""
    """What to call a part of a merged recording."""
    is_packed: bool = False
    findings: list[Finding] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Say whether something is not as it was written."""
        return any(finding.damage for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recording says of itself, as far as its sound segments go; start and end are CLOCK_BOOTTIME, the end None where it is not written."""

    tracers: tuple[str, ...]
    start_ns: int | None
    end_ns: int | None
    clean: bool
    offset_ns: int | None
    coverage: dict[str, Covered]


def total_bytes(path: Path) -> int:
    """Return how many bytes verifying the recording at ``path`` will read; 0 where that cannot be said yet."""
    try:
        return sum(segment.bytes for store, _ in stores(open_store(path)) for segment in read_manifest(store).segments)
    except AnalyzerError:
        return 0


def verify(store: Store, advance: Advance = lambda _: None, decode: bool = False) -> Verified:
    """Read every byte of a recording that is not merged, and return what was found; with ``decode`` every value is decoded, too.

    Raises AnalyzerError (65 or 77) only where nothing can be said at all: no recording, or one of a newer format.
    """
    for look in range(1, _LOOKS + 1):
        live = is_being_written(store.path)
        manifest = read_manifest(store)
        check_single(store.shown, manifest)
        checked = check_all(store, manifest.segments, manifest.id, advance, decode)
        if not live or look == _LOOKS or not any(item.faults for item in checked.values()):
            break
    return _judge(store, manifest, checked, live)


def check_all(store: Store, segments: Sequence[Segment], recording_id: str, advance: Advance, decode: bool = False) -> dict[Segment, Checked]:
    """Check all ``segments``, as many at once as there are CPUs."""
    found = each(lambda segment, advance: check_segment(store, segment, recording_id, advance, decode), segments, advance)
    return dict(zip(segments, found, strict=True))


def sound_ones(checked: dict[Segment, Checked]) -> list[Segment]:
    """Return the segments that are what was written, as they are, whatever the manifest says of them."""
    return [result.truth or segment for segment, result in checked.items() if not result.is_broken]


def broken_ones(checked: dict[Segment, Checked]) -> list[Segment]:
    """Return the segments that are not, as the manifest has them."""
    return [segment for segment, result in checked.items() if result.is_broken]


def counts_all(manifest: Manifest, broken: Sequence[Segment]) -> bool:
    """Say whether all that was written of ``coverage`` is there: where it was damaged, or recovered without, it cannot explain all rows any more."""
    return not any(name.startswith("coverage/") for name in (*manifest.replaced, *(segment.name for segment in broken)))


def _judge(store: Store, manifest: Manifest, checked: dict[Segment, Checked], live: bool) -> Verified:
    found = Verified(store.path, manifest.id, manifest.recorder, is_packed=not isinstance(store, FolderStore))
    sound, broken = sound_ones(checked), broken_ones(checked)
    found.sound_segments, found.sound_rows = len(sound), sum(s.rows for s in sound)
    found.decodable_rows = sum(checked[segment].rows for segment in broken)
    found.findings += [Finding(MANIFEST, fault.replace(f" of its {MANIFEST}", "")) for fault in manifest.faults]
    found.findings += [Finding(segment.name, fault) for segment, result in checked.items() for fault in result.faults]
    if not checked:
        found.findings.append(Finding(MANIFEST, "names no segment: none was closed yet", damage=False))
    if manifest.torn and not live:
        found.findings.append(Finding(MANIFEST, "its last line is cut off; the segment of that line is not used", damage=False))
    found.findings += [Finding(name, what, damage=False) for name, what in _leftovers(store, manifest) if not live]
    found.findings += _disorder(sound, checked)
    facts, counts = read_facts(store, sound), counts_all(manifest, broken)
    found.offset_ns = facts.offset_ns
    lost = damaged(facts, sound, broken, counts)
    found.missing = [] if live else missing(facts, sound, lost, counts)
    found.segments, found.bytes = len(checked), sum(s.bytes for s in (*sound, *broken))
    own = sum(s.rows for s in broken if s.table not in TABLES or not TABLES[s.table].tracer)
    found.rows = found.sound_rows + own + sum(item.rows or 0 for item in lost)
    found.findings += _coverage(facts, sound, intact=counts and not found.damaged)
    found.state = State.BEING_WRITTEN if live else State.WHOLE if facts.clean else State.UNFINISHED
    if found.damaged:
        found.state = State.DAMAGED
    return found


def _leftovers(store: Store, manifest: Manifest) -> Iterable[tuple[str, str]]:
    for name in store.names():
        if name.endswith(".parquet.tmp"):
            yield name, "was open when the recorder was ended, and is no part of the recording"
        elif name.endswith(".parquet") and name not in manifest.named:
            yield name, "is not in the manifest, and no part of the recording"


def _disorder(sound: Sequence[Segment], checked: dict[Segment, Checked]) -> list[Finding]:
    """Return where times go back, from one row group to the next, by more than the order of CPUs explains."""
    found = []
    latest: dict[str, int] = {}
    spans_ns = {segment.name: result.spans_ns for segment, result in checked.items()}
    for segment in sorted(sound, key=lambda segment: (segment.table, int(segment.path.stem))):
        if segment.table not in TABLES or not TABLES[segment.table].tracer:
            continue
        for first_ns, last_ns in spans_ns[segment.name]:
            back_ns = latest.get(segment.table, last_ns) - last_ns
            if back_ns > _DISORDER_NS:
                found.append(Finding(segment.name, f"goes back in time by {back_ns / NANOSECONDS:.1f} s", damage=False))
            latest[segment.table] = max(latest.get(segment.table, first_ns), last_ns)
    return found


def read_facts(store: Store, sound: Sequence[Segment]) -> Facts:
    """Return what the tables recording, clock and coverage say, as far as their segments are sound."""
    about = _rows(store, sound, "recording", ("tracers", "start_ns", "start_ts", "end_ns", "clean_end"))
    clock = _rows(store, sound, "clock", ("boottime_ns", "realtime_ns"))
    first = min(clock, key=lambda row: row["boottime_ns"], default=None)
    offset_ns = first["realtime_ns"] - first["boottime_ns"] if first else None
    last: dict[str, Any] = about[-1] if about else {"tracers": (), "start_ns": None, "end_ns": None, "clean_end": False}
    if offset_ns is None and about and None not in (last["start_ts"], last["start_ns"]):  # the recorder was killed in its first seconds
        offset_ns = last["start_ts"] * 1_000 - last["start_ns"]
    coverage = covered(_rows(store, sound, "coverage", COLUMNS))
    return Facts(tuple(last["tracers"]), last["start_ns"], last["end_ns"], bool(last["clean_end"]), offset_ns, coverage)


def _rows(store: Store, sound: Sequence[Segment], table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    return [row for segment in sound if segment.table == table for row in rows_of(store, segment, columns)]


def damaged(facts: Facts, sound: Sequence[Segment], broken: Sequence[Segment], counts: bool) -> list[Missing]:
    """Return what damaged segments held. Where the recorder ended by itself, and ``counts`` all that it had, no line of the manifest knows better."""
    counted = {}
    if facts.clean and counts:
        counted = {of.table: max(of.rows - sum(segment.rows for segment in sound if segment.table == of.table), 0) for of in facts.coverage.values()}
    return damage(broken, _known_ns(facts, sound), counted)


def _known_ns(facts: Facts, sound: Sequence[Segment]) -> tuple[int, int]:
    """Return from when to when a recording goes, as far as that is known."""
    spans = [(segment.first_ts_ns, segment.last_ts_ns) for segment in sound if segment.first_ts_ns is not None and segment.last_ts_ns is not None]
    times = [facts.start_ns, facts.end_ns, *(end for of in facts.coverage.values() for end in (of.from_ns, of.to_ns)), *chain.from_iterable(spans)]
    known = [time for time in times if time is not None]
    begin_ns = min(known, default=0) if facts.start_ns is None else facts.start_ns
    return begin_ns, max(begin_ns, max(known, default=0) if facts.end_ns is None else facts.end_ns)


def missing(facts: Facts, sound: Sequence[Segment], lost: Sequence[Missing], counts: bool) -> list[Missing]:
    """Return what the recording does not have: what damaged segments held (``lost``), what was open at the end, what nobody covered."""
    found = [*lost]
    for of in facts.coverage.values():
        found += of.unwritten
        if facts.start_ns is not None:
            found += holes(of, facts.start_ns, facts.end_ns)
        if counts:
            found += tail(of, sound, lost, facts.clean)
    return sorted(found, key=lambda item: (item.from_ns, item.table, item.to_ns))


def _coverage(facts: Facts, sound: Sequence[Segment], intact: bool) -> list[Finding]:
    """Return where a recording that ended cleanly, and is not damaged otherwise, has other rows than coverage says, or gaps in it."""
    if not facts.clean or not intact:
        return []
    found = []
    for of in facts.coverage.values():
        rows = sum(segment.rows for segment in sound if segment.table == of.table)
        if rows != of.rows:
            what = f"counts {of.rows:,} rows of {of.table}" if of.rows >= 0 else f"tells of more rows of {of.table} that were not written than came"
            found.append(Finding("coverage", f"{what}, where {rows:,} are there"))
        if facts.start_ns is not None and (gap := holes(of, facts.start_ns, facts.end_ns)):
            found.append(Finding("coverage", f"does not tell of {of.table} for {sum(g.to_ns - g.from_ns for g in gap) / NANOSECONDS:.3f} s"))
    asked = {table.name for table in TABLES.values() if table.tracer in facts.tracers}
    found += [Finding("coverage", f"does not tell of {table}") for table in sorted(asked & {s.table for s in sound} - set(facts.coverage))]
    return found
