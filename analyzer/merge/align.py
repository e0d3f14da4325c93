"""Put the clocks of several recordings on one time line: that of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.errors import AnalyzerError
from analyzer.merge.evidence import Host, Seen
from analyzer.merge.interval import Interval, closed, drift_ns
from analyzer.merged import Source
from recorder.schema import NANOSECONDS

Pair = tuple[int, int]

_TRUSTED_NS = NANOSECONDS
"""How far wall clocks are taken to be apart where nobody says better."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What is added to a recording's CLOCK_BOOTTIME, and to its wall clock, how wrong that may be, and what tells."""

    shift_ns: int
    wall_shift_ns: int
    bound_ns: int
    source: Source
    connections: int


@dataclass(frozen=True, slots=True)
class Wall:
    """What two wall clocks tell that are at most ``within_ns`` apart. ``is_said``: that is what both hosts say of their clocks' errors."""

    apart: Interval
    within_ns: int
    is_said: bool = False


def align(hosts: Sequence[Host], seen: Mapping[Pair, Seen], within_ns: int | None, names: Sequence[str]) -> tuple[list[Aligned], list[str]]:
    """Return where the clock of each host lies, and sentences about what is odd.

    The wall clocks of two hosts are taken to be at most ``within_ns`` apart, where nothing better tells; None is what both say of their errors, or a
    second. Raises AnalyzerError where connections say that they are further apart, and not how far; and where nothing tells.
    """
    pairs = [(one, two) for one in range(len(hosts)) for two in range(one + 1, len(hosts))]
    same = {(one, two): Interval(0, 0) for one, two in pairs if hosts[one].boot_id is not None and hosts[one].boot_id == hosts[two].boot_id}
    told = {pair: item.apart for pair, item in seen.items() if item.apart is not None and pair not in same}
    clocks, false = _clocks(hosts, [pair for pair in pairs if pair not in same], told, within_ns)
    walls = {pair: wall.apart for pair, wall in clocks.items()}
    by_connections = closed({**told, **same}, len(hosts))
    # Where connections tell all, what wall clocks say does not count: it was but taken to be so.
    all_told = {pair: told[pair] if pair in told and told[pair].is_known else wall.within(told.get(pair, Interval())) for pair, wall in walls.items()}
    by_all = closed({**same, **all_told}, len(hosts))
    by_walls = closed({**same, **walls}, len(hosts))
    aligned = [Aligned(0, 0, 0, Source.ITSELF, 0)]
    notes = [_contradiction(names[pair[0]], names[pair[1]], item.count) for pair, item in seen.items() if item.apart is None]
    notes += [_false(names[one], names[two]) for one, two in false]
    for number in range(1, len(hosts)):
        item, source = by_connections[number], Source.BOOT if (0, number) in same else Source.CONNECTIONS
        if not item.is_known:
            by_wall = Source.SYNCHRONIZED if (0, number) in clocks and clocks[0, number].is_said else Source.WALL
            item, source = by_all[number], by_wall if by_all[number] == by_walls[number] else Source.BOTH
        if item.is_empty or not item.is_known:
            raise _undecidable((names[0], names[number]), by_walls[number], {pair: (told[pair], walls[pair]) for pair in told}, names)
        wall_ns = _wall_shift_ns(hosts[0], hosts[number], item.middle_ns)
        count = sum(seen[pair].count for pair in told if number in pair)
        aligned.append(Aligned(item.middle_ns, wall_ns, item.bound_ns, source, count))
        trusted_ns = clocks[0, number].within_ns if (0, number) in clocks else _TRUSTED_NS
        notes += _odd(hosts[0], hosts[number], aligned[-1], (names[0], names[number]), trusted_ns)
    return aligned, notes


def _clocks(
    hosts: Sequence[Host], pairs: Sequence[Pair], told: Mapping[Pair, Interval], within_ns: int | None
) -> tuple[dict[Pair, Wall], list[Pair]]:
    """Return what wall clocks tell, and the pairs of which connections show that what both hosts say of their errors is not so."""
    found = {(one, two): _wall(hosts[one], hosts[two], within_ns) for one, two in pairs}
    false = [pair for pair, wall in found.items() if wall.is_said and wall.apart.within(told.get(pair, Interval())).is_empty]
    return found | {(one, two): _wall(hosts[one], hosts[two], _TRUSTED_NS) for one, two in false}, false


def _wall(one: Host, two: Host, within_ns: int | None) -> Wall:
    """Return what two wall clocks tell, whatever steps they made."""
    said_ns = _said_ns(one, two) if within_ns is None else None
    most_ns = said_ns if said_ns is not None else _TRUSTED_NS if within_ns is None else within_ns
    if one.offset_ns is None or two.offset_ns is None:
        return Wall(Interval(), most_ns)
    return Wall(two.offsets.then(one.offsets.reversed()).then(Interval(-most_ns, most_ns)), most_ns, said_ns is not None)


def _said_ns(one: Host, two: Host) -> int | None:
    """Return how far two wall clocks are apart by what both hosts say of their errors: while both were recorded, and by drift before and after."""
    if one.error_ns is None or two.error_ns is None or one.offset_ns is None or two.offset_ns is None:
        return None
    ahead_ns = two.offset_ns - one.offset_ns
    alone_ns = max(abs(two.start_ns + ahead_ns - one.start_ns), abs(two.end_ns + ahead_ns - one.end_ns))
    return one.error_ns + two.error_ns + drift_ns(alone_ns)


def _wall_shift_ns(one: Host, two: Host, shift_ns: int) -> int:
    """Return what is added to the second's wall-clock times, so that they follow from shifted times as the first's do."""
    return shift_ns if one.offset_ns is None or two.offset_ns is None else shift_ns + one.offset_ns - two.offset_ns


def _contradiction(one: str, two: str, count: int) -> str:
    return f"{count:,} connections between {one} and {two} contradict each other (address translation?): they are not used"


def _false(one: str, two: str) -> str:
    return f"{one} and {two} say how far their wall clocks may be wrong, and connections between them show that this is not so: it is not used"


def _undecidable(hosts: tuple[str, str], wall: Interval, told: Mapping[Pair, tuple[Interval, Interval]], names: Sequence[str]) -> AnalyzerError:
    """Return what to say where nothing tells how two clocks lie, or wall clocks that connections show to be wrong."""
    if not wall.is_known:
        return AnalyzerError(
            f"Nothing tells how the clocks of {hosts[0]} and {hosts[1]} lie to each other: no row of clock, and no connection.",
            "Merge recordings with their clocks.",
        )
    apart = {pair: max(by.low_ns - walls.middle_ns, walls.middle_ns - by.high_ns) for pair, (by, walls) in told.items() if walls.is_known}
    worst = max(apart, key=lambda pair: apart[pair], default=None)
    if worst is None or apart[worst] <= 0:
        return AnalyzerError("What is known of the clocks contradicts itself.", "Merge fewer recordings at once.")
    return AnalyzerError(
        f"The wall clocks of {names[worst[0]]} and {names[worst[1]]} are at least {apart[worst] / NANOSECONDS:,.3f} s apart, as connections that "
        f"both saw show, so that wall clocks do not tell where {hosts[1]} lies.",
        f"If you know how far they may be apart: --clocks-within {-(-apart[worst] // NANOSECONDS) + 1}s",
    )


def _odd(one: Host, two: Host, aligned: Aligned, names: tuple[str, str], within_ns: int) -> list[str]:
    notes = []
    if abs(aligned.wall_shift_ns) > within_ns + aligned.bound_ns:
        notes.append(f"the wall clock of {names[1]} is {abs(aligned.wall_shift_ns) / NANOSECONDS:,.3f} s {_ahead(aligned)} that of {names[0]}")
    start_ns, end_ns = two.start_ns + aligned.shift_ns, two.end_ns + aligned.shift_ns
    gap_ns = max(start_ns - one.end_ns, one.start_ns - end_ns) - aligned.bound_ns
    if gap_ns > 0:
        why = "" if aligned.source is Source.BOOT else ", or their clocks are apart"
        notes.append(f"{names[0]} and {names[1]} were recorded one after the other, {gap_ns / NANOSECONDS:,.1f} s apart{why}")
    return notes


def _ahead(aligned: Aligned) -> str:
    return "behind" if aligned.wall_shift_ns > 0 else "ahead of"
