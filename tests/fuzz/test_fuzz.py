"""Hostile input, a bounded share of it: what is kept, and a few hundred inputs a parser, always the same ones. The rest is ``make fuzz``."""

from __future__ import annotations

import re
import resource
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz import target
from tests.fuzz.footer import MAGIC, parsed
from tests.fuzz.inputs import inputs
from tests.fuzz.target import Target, attempt, kept, load

MORE_BYTES = 1 << 30
"""What an input may make a process take, beyond what it has."""

CLAIMED = 100_000
"""Inputs of each parser, of which SECURITY.md speaks."""


class Hung(BaseException):
    """An input took longer than a parser may take."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Bound memory and time, the latter of each input."""

    def hung(_number: int, _frame: FrameType | None) -> None:
        raise Hung

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + MORE_BYTES, hard))
    before = signal.signal(signal.SIGALRM, hung)
    yield
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def timed(parser: Target, data: bytes) -> None:
    signal.setitimer(signal.ITIMER_REAL, target.LONGEST_S)
    try:
        attempt(parser, data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("name", target.names())
def test_good_input_is_taken(name: str) -> None:
    parser = load(name)
    for data in parser.seeds():
        parser.run(data)


@pytest.mark.parametrize("name", target.names())
def test_what_crashed_a_parser_once_and_what_is_kept_beside_ends_with_an_answer_or_a_typed_error(name: str) -> None:
    parser = load(name)
    for path in kept(name):
        timed(parser, path.read_bytes())


@pytest.mark.parametrize("name", target.names())
def test_any_input_ends_with_an_answer_or_a_typed_error(name: str) -> None:
    parser = load(name)
    known = [*parser.seeds(), *(path.read_bytes() for path in kept(name))]

    @settings(max_examples=parser.examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs(parser, known))
    def each(data: bytes) -> None:
        timed(parser, data)

    each()


def test_each_parser_has_had_as_many_inputs_as_is_claimed_and_none_crashes_it_now() -> None:
    text = (target.FOLDER / "RESULTS.md").read_text()
    rows = re.findall(r"^\| (\w+) \| ([\d,]+) \|.* (\d+) \| \d+ \|$", text, re.MULTILINE)
    assert [name for name, _, _ in rows] == target.names()
    assert [name for name, inputs_, crashes in rows if int(inputs_.replace(",", "")) < CLAIMED or int(crashes)] == []


def test_a_footer_that_claims_more_than_it_has_is_none() -> None:
    # A field that is a list (9) of 2**40 doubles (7), of which none is there.
    fields = bytes([0x19, 0xF7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])
    with pytest.raises(IndexError):
        parsed(fields + struct.pack("<I", len(fields)) + MAGIC)
