"""What is known of how far two clocks are apart: an interval that is sure to hold it, at every time that was recorded.

Two clocks drift: what holds at one time holds less and less before and after. How fast, DRIFT_PPM bounds, as RFC 5905 (NTP) bounds the error of a
clock that nothing corrects by its frequency tolerance times the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

DRIFT_PPM = 200
"""How fast two hosts' clocks may drift apart: 100 ppm each, which is more than the quartz of a computer does."""

UNKNOWN_NS = 1 << 60
"""So far apart that it says nothing."""

Point = tuple[int, int]
"""A time in ns, and a bound in ns that holds then."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Two clocks are between ``low_ns`` and ``high_ns`` apart."""

    low_ns: int = -UNKNOWN_NS
    high_ns: int = UNKNOWN_NS

    @property
    def is_known(self) -> bool:
        """Say whether it has two ends."""
        return self.low_ns > -UNKNOWN_NS and self.high_ns < UNKNOWN_NS

    @property
    def is_empty(self) -> bool:
        """Say whether nothing can be in it."""
        return self.low_ns > self.high_ns

    @property
    def middle_ns(self) -> int:
        """Return what is least wrong."""
        return (self.low_ns + self.high_ns) // 2

    @property
    def bound_ns(self) -> int:
        """Return how wrong that may be."""
        return self.high_ns - self.middle_ns

    def reversed(self) -> Interval:
        """Return how far the first clock is from the second."""
        return Interval(-self.high_ns, -self.low_ns)

    def within(self, other: Interval) -> Interval:
        """Return what both know."""
        return Interval(max(self.low_ns, other.low_ns), min(self.high_ns, other.high_ns))

    def then(self, other: Interval) -> Interval:
        """Return how far the first clock is from a third one, of which ``other`` says how far it is from the second."""
        low = -UNKNOWN_NS if -UNKNOWN_NS in (self.low_ns, other.low_ns) else self.low_ns + other.low_ns
        high = UNKNOWN_NS if UNKNOWN_NS in (self.high_ns, other.high_ns) else self.high_ns + other.high_ns
        return Interval(low, high)


EVERYWHERE = Interval()
"""Nothing is known."""


def interval(lows: Sequence[Point], highs: Sequence[Point], window: tuple[int, int]) -> Interval | None:
    """Return what holds in all of ``window`` where at single times the distance was at least that of ``lows`` and at most that of ``highs``.

    Returns None where they contradict each other by more than clocks drift.
    """
    times = sorted({time for time, _ in (*lows, *highs)})
    if not times:
        return EVERYWHERE
    upper = _envelope(times, highs)
    lower = [-bound for bound in _envelope(times, [(time, -low) for time, low in lows])]
    if any(low > high for low, high in zip(lower, upper, strict=True)):
        return None
    low = -_greatest(times, [-bound for bound in lower], window) if lows else -UNKNOWN_NS
    high = _greatest(times, upper, window) if highs else UNKNOWN_NS
    return EVERYWHERE.within(Interval(low, high))


def drift_ns(time_ns: int) -> int:
    """Return how far two clocks drift apart in such a time, at most."""
    return -(-abs(time_ns) * DRIFT_PPM // 1_000_000)


def _envelope(times: Sequence[int], points: Iterable[Point]) -> list[int]:
    """Return the least upper bound at each of ``times``: of one at another time, with what may have come by drift."""
    found = dict.fromkeys(times, UNKNOWN_NS)
    for time, bound in points:
        found[time] = min(found[time], bound)
    bounds = [found[time] for time in times]
    for order in (range(1, len(times)), range(len(times) - 2, -1, -1)):
        step = order.step
        for number in order:
            before = number - step
            bounds[number] = min(bounds[number], bounds[before] + drift_ns(times[number] - times[before]))
    return bounds


def _greatest(times: Sequence[int], bounds: Sequence[int], window: tuple[int, int]) -> int:
    """Return the greatest bound that holds in all of ``window``: between two times it is where what comes from both meets."""
    ends = [bounds[0] + drift_ns(max(0, times[0] - window[0])), bounds[-1] + drift_ns(max(0, window[1] - times[-1]))]
    between = ((one + two + drift_ns(later - time)) // 2 + 1 for (time, one), (later, two) in pairwise(zip(times, bounds, strict=True)))
    return max([*ends, *between])


def closed(known: dict[tuple[int, int], Interval], count: int) -> list[Interval]:
    """Return how far each of ``count`` clocks is from the first one, by way of the others where that says more (Floyd and Warshall).

    ``known`` has intervals for pairs of clocks, the lower number first.
    """
    apart = [[EVERYWHERE] * count for _ in range(count)]
    for number in range(count):
        apart[number][number] = Interval(0, 0)
    for (one, two), item in known.items():
        apart[one][two], apart[two][one] = item, item.reversed()
    for by in range(count):
        for one in range(count):
            if apart[one][by] != EVERYWHERE:
                apart[one] = [apart[one][two].within(apart[one][by].then(apart[by][two])) for two in range(count)]
    return apart[0]
