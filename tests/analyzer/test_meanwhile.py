"""What runs beside something else has always ended when that is over, whichever of them fails first and however often somebody presses Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from types import CodeType, FrameType

import pytest

from analyzer.meanwhile import Outcome, meanwhile


def test_both_are_done_at_the_same_time() -> None:
    met = threading.Barrier(2, timeout=60)
    with meanwhile(lambda: met.wait() >= 0, pytest.fail) as outcome:
        met.wait()
    assert outcome.get() is True


def test_what_fails_beside_the_block_fails_where_its_value_is_asked_for() -> None:
    with meanwhile(lambda: 1 // 0, pytest.fail) as outcome:
        pass
    with pytest.raises(ZeroDivisionError):
        outcome.get()


def test_a_block_that_fails_stops_what_runs_beside_it_and_waits_for_its_end() -> None:
    stopped = threading.Event()
    ended: list[bool] = []
    with pytest.raises(KeyError), meanwhile(lambda: ended.append(stopped.wait(60)), stopped.set):
        raise KeyError
    assert ended == [True]


def calls(frame: FrameType | None) -> set[CodeType]:
    """Return what a thread is inside of, whose innermost frame this is."""
    return {frame.f_code} | calls(frame.f_back) if frame else set()


def await_waiting() -> None:
    """Return when the main thread waits for the outcome, asleep in the kernel: a signal just before that is one that Python sees only later."""
    main = threading.main_thread()
    looks = 0
    while looks < 3:
        time.sleep(0.01)
        is_inside = {Outcome.wait.__code__, threading.Event.wait.__code__} <= calls(sys._current_frames()[main.ident or 0])
        is_asleep = Path(f"/proc/self/task/{main.native_id}/stat").read_text().rpartition(")")[2].split()[0] == "S"
        looks = looks + 1 if is_inside and is_asleep else 0


def test_a_signal_stops_it_and_even_two_of_them_wait_for_its_end() -> None:
    stops = threading.Semaphore(0)
    ended: list[bool] = []

    def waits_for_two() -> None:
        for _ in range(2):
            await_waiting()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            ended.append(stops.acquire(timeout=60))

    with pytest.raises(KeyboardInterrupt), meanwhile(waits_for_two, stops.release):
        pass
    assert ended == [True, True]
