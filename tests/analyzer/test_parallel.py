"""Many things at once on threads: in order, counted, and ended where nobody wants them any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from analyzer.parallel import each
from analyzer.progress import Advance


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def endless(fail: Callable[[], None]) -> tuple[Callable[[int, Advance], None], list[int]]:
    """Return an action that goes on for ever, but for the first item's, which fails when the second is under way; and what was begun."""
    begun: list[int] = []
    is_under_way = threading.Event()

    def action(item: int, advance: Advance) -> None:
        begun.append(item)
        if item == 0:
            assert is_under_way.wait(60)
            fail()
        while True:
            is_under_way.set()
            advance(0)
            time.sleep(0.001)

    return action, begun


def test_results_come_in_order_and_what_is_done_is_counted() -> None:
    counts: list[int] = []

    def action(item: int, advance: Advance) -> int:
        time.sleep(0.002 * (5 - item))
        advance(item)
        return item * item

    assert each(action, range(5), counts.append) == [0, 1, 4, 9, 16]
    assert sorted(counts) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_what_is_under_way_is_ended_where_another_one_failed_and_nothing_more_is_begun(kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind

    action, begun = endless(fail)
    with pytest.raises(kind):
        each(action, range(100), lambda _: None)
    assert len(begun) <= 3
