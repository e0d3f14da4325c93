"""Compare one aspect of two recordings. The tests are SciPy's; what is said of a difference depends on them, and on what was recorded."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from analyzer.diff.aspect import Side, Thing
from analyzer.trust import Verdict

_MINUTE = 60.0


class Change(StrEnum):
    """What is different in the second recording."""

    NEW = "new"
    GONE = "gone"
    MORE = "more"
    FEWER = "fewer"
    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"


_ORDER = list(Change)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in both recordings. Values are events a minute, or the median latency in ms; ``times`` is the second in terms of the first.

    ``p`` is the probability of a difference like this or greater where nothing has changed, corrected for how many were looked at; None where
    nothing was tested. ``is_certain`` is False where what was not recorded could be the reason.
    """

    change: Change
    what: str
    a_events: int | None
    b_events: int | None
    a_value: float | None
    b_value: float | None
    unit: str | None
    times: float | None
    p: float | None
    is_certain: bool


def compare(a: Side, b: Side, least_times: float, most_p: float) -> list[Difference]:
    """Return all differences of one aspect, those that count first. A rate or latency counts from ``least_times`` on, and up to ``most_p``."""
    found = _corrected([_difference(what, a, b) for what in sorted({*a.things, *b.things})])
    judged = [_judged(item, least_times, most_p) for item in found]
    return sorted(judged, key=lambda item: (_ORDER.index(item.change), 1.0 if item.p is None else item.p, item.what))


def _difference(what: str, a: Side, b: Side) -> Difference:
    first, second = a.things.get(what), b.things.get(what)
    if first is None or second is None:
        return _only(what, a, b)
    if first.latencies_ms and second.latencies_ms:
        return _latency(what, first, second, _are_alike(a, b))
    if first.events is None or second.events is None:
        return Difference(Change.SAME, what, None, None, None, None, None, None, None, _are_alike(a, b))
    return _rate(what, a, b)


def _only(what: str, a: Side, b: Side) -> Difference:
    """Return the difference of a thing that is in one of the two only: what the other one has not recorded may have been there."""
    is_new = what in b.things
    here, there = (b.things[what], a) if is_new else (a.things[what], b)
    change = Change.NEW if is_new else Change.GONE
    p = None
    if here.events is not None and not here.latencies_ms:
        p = _rate_p(0 if is_new else here.events, here.events if is_new else 0, a.seconds, b.seconds)
    counts = (0, here.events) if is_new else (here.events, 0)
    values = tuple(None if count is None or here.latencies_ms else count * _MINUTE / side.seconds for count, side in zip(counts, (a, b), strict=True))
    unit = None if values[0] is None else "/min"
    a_events, b_events = counts if here.events is not None else (None, None)
    return Difference(change, what, a_events, b_events, values[0], values[1], unit, None, p, _is_whole(there) and _are_alike(a, b))


def _rate(what: str, a: Side, b: Side) -> Difference:
    first, second = a.things[what].events or 0, b.things[what].events or 0
    values = first * _MINUTE / a.seconds, second * _MINUTE / b.seconds
    p = _rate_p(first, second, a.seconds, b.seconds)
    times = values[1] / values[0] if values[0] else None
    change = Change.MORE if values[1] > values[0] else Change.FEWER
    return Difference(change, what, first, second, values[0], values[1], "/min", times, p, _is_whole(a) and _is_whole(b) and _are_alike(a, b))


def _rate_p(first: int, second: int, a_seconds: float, b_seconds: float) -> float:
    """Return the p-value of two counts over two lengths of time, if events come at random (a Poisson process): given their sum, one is binomial."""
    from scipy.stats import binomtest

    if first + second == 0:
        return 1.0
    return float(binomtest(second, first + second, b_seconds / (a_seconds + b_seconds)).pvalue)


def _latency(what: str, first: Thing, second: Thing, are_alike: bool) -> Difference:
    from scipy.stats import mannwhitneyu

    values = statistics.median(first.latencies_ms), statistics.median(second.latencies_ms)
    p = float(mannwhitneyu(first.latencies_ms, second.latencies_ms).pvalue)
    times = values[1] / values[0] if values[0] else None
    change = Change.SLOWER if values[1] > values[0] else Change.FASTER
    return Difference(change, what, first.events, second.events, values[0], values[1], "ms", times, p, are_alike)


def _corrected(found: list[Difference]) -> list[Difference]:
    """Return the same with p-values for many tests at once (Benjamini and Hochberg)."""
    from scipy.stats import false_discovery_control

    tested = [number for number, item in enumerate(found) if item.p is not None]
    if not tested:
        return found
    corrected = dict(zip(tested, false_discovery_control([found[number].p for number in tested]), strict=True))
    return [replace(item, p=float(corrected[number])) if number in corrected else item for number, item in enumerate(found)]


def _judged(item: Difference, least_times: float, most_p: float) -> Difference:
    """Return ``same`` for what is too small a difference, or may be chance; what is new or gone stays so, with its p-value."""
    if item.change in (Change.NEW, Change.GONE):
        return item
    is_large = item.times is not None and not 1 / least_times < item.times < least_times
    return item if is_large and item.p is not None and item.p <= most_p else replace(item, change=Change.SAME)


def _is_whole(side: Side) -> bool:
    """Say whether what is not there did not happen, in the time that was recorded and to those that the recording is about."""
    return side.trust.verdict <= Verdict.FILTERED and not side.is_cut


def _filters(side: Side) -> set[tuple[str, ...]]:
    return {tuple(sorted(window.filters)) for window in side.trust.windows}


def _are_alike(a: Side, b: Side) -> bool:
    """Say whether both were recorded with the same filters: else one of them may have left out what the other one has."""
    return _filters(a) == _filters(b)


def counted(found: list[Difference]) -> Iterator[Difference]:
    """Yield what has changed."""
    return (item for item in found if item.change is not Change.SAME)
