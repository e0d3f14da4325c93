"""Times of --since and --until, one a line, in a recording whose start and clock the first two lines tell, which may lie."""

from __future__ import annotations

import os

from analyzer.errors import AnalyzerError
from analyzer.replay import _speed
from analyzer.scope import _Clocks
from tests.fuzz.target import Target


def _number(text: str) -> int | None:
    try:
        return max(-(1 << 63), min(int(text), (1 << 63) - 1))
    except ValueError:
        return None


def run(data: bytes) -> None:
    start, offset, *times = ["", "", *os.fsdecode(data).split("\n")][-max(3, data.count(b"\n") + 1) :]
    numbers = {"starts": _number(start), "offsets": _number(offset)}
    clocks = _Clocks(**{name: {} if number is None else {"r": number} for name, number in numbers.items()})
    refused = []
    for text in times:
        for parse in (lambda text: clocks.instant("r", "--since", text), _speed):
            try:
                parse(text)
            except AnalyzerError as error:
                refused.append(error)
    if refused:
        raise refused[0]


TARGET = Target(
    run,
    lambda: [b"5000000000\n1790000000000000000\n10"],
    words=(
        b"1h2m3.5s",
        b"250ms",
        b"2026-11-23T08:40:25",
        b"08:40:25.5",
        b"+05:00",
        b"Z",
        b"9999-12-31T23:59:59.999999",
        b"0001-01-01",
        b"W",
        b"\n",
        b"-",
    ),
    longest=1_000,
)
