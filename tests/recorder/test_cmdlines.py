"""What /proc has as arguments of processes, asked by a process of its own; tests/kernel/test_held_up.py has one that does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.cmdlines import command_lines


@pytest.fixture
def others() -> Iterator[list[int]]:
    """Return the ids of processes that are there until the end, with arguments of 300 kB each."""
    words = [sys.executable, "-c", "input()", *(["x" * 100_000] * 3)]
    processes = [subprocess.Popen(words, stdin=subprocess.PIPE) for _ in range(3)]
    yield [process.pid for process in processes]
    for process in processes:
        process.communicate()


def test_each_process_has_its_own_arguments_and_one_that_has_ended_none(others: list[int]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = Path("/proc/self/cmdline").read_bytes()
    found = command_lines([os.getpid(), ended.pid, *others, os.getpid()], 4_096)
    assert found[:2] == [own[:4_096], None]
    assert [len(text or b"") for text in found[2:5]] == [4_096] * 3
    assert len(set(found[2:5])) == 1
    assert found[5] == own[:4_096]
    assert command_lines([], 4_096) == []


def test_so_many_that_the_pipes_are_full_are_all_there() -> None:
    assert command_lines([os.getpid()] * 50_000, 4_096) == [Path("/proc/self/cmdline").read_bytes()[:4_096]] * 50_000
