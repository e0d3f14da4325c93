"""How far two clocks are apart: what is said to be sure is, whatever the clocks do within the drift that is allowed."""

from __future__ import annotations

import random

import pytest

from analyzer.merge.interval import DRIFT_PPM, EVERYWHERE, Interval, closed, drift_ns, interval

SECOND = 1_000_000_000


def walk(seed: int, steps: int = 200) -> list[tuple[int, int]]:
    """Return how far apart two clocks are at times a second or so apart, which drift as they like."""
    made, time_ns, apart_ns = [], 0, 5 * SECOND
    dice = random.Random(seed)
    for _ in range(steps):
        made.append((time_ns, apart_ns))
        step_ns = dice.randrange(1, 2 * SECOND)
        time_ns, apart_ns = time_ns + step_ns, apart_ns + dice.randrange(-1000, 1001) * step_ns * DRIFT_PPM // 1_000_000_000
    return made


@pytest.mark.parametrize("seed", range(23))
def test_the_clocks_are_inside_of_it_at_every_time(seed: int) -> None:
    dice, truth = random.Random(seed), walk(seed)
    lows = [(time_ns, apart_ns - dice.randrange(300_000)) for time_ns, apart_ns in dice.sample(truth, 9)]
    highs = [(time_ns, apart_ns + dice.randrange(300_000)) for time_ns, apart_ns in dice.sample(truth, 5)]
    found = interval(lows, highs, (truth[0][0], truth[-1][0]))
    assert found is not None
    assert all(found.low_ns <= apart_ns <= found.high_ns for _, apart_ns in truth)
    assert found.high_ns - found.low_ns <= 600_000 + 2 * drift_ns(truth[-1][0])


def test_without_drift_it_is_as_narrow_as_the_best_of_what_is_known() -> None:
    found = interval([(0, 90), (0, 95)], [(0, 110), (0, 105)], (0, 0))
    assert found == Interval(95, 105)
    assert (found.middle_ns, found.bound_ns) == (100, 5)


def test_it_grows_with_the_time_to_the_next_connection() -> None:
    found = interval([(0, 0), (10 * SECOND, 0)], [(0, 0), (10 * SECOND, 0)], (0, 10 * SECOND))
    assert found is not None
    assert found.high_ns == pytest.approx(5 * SECOND * DRIFT_PPM / 1e6, abs=2)


def test_one_end_alone_is_not_known() -> None:
    found = interval([(0, 90)], [], (0, 0))
    assert found is not None
    assert found.low_ns == 90
    assert not found.is_known


def test_what_drift_does_not_explain_is_a_contradiction() -> None:
    assert interval([(0, 1_000)], [(0, 999)], (0, 0)) is None
    assert interval([(0, 1_000)], [(SECOND, 999)], (0, SECOND)) is not None


def test_a_third_clock_tells() -> None:
    known = {(0, 1): Interval(10, 12), (1, 2): Interval(100, 101), (0, 2): Interval(0, 111)}
    assert closed(known, 4) == [Interval(0, 0), Interval(10, 11), Interval(110, 111), EVERYWHERE]
