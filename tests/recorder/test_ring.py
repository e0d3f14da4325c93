"""The reading end of a ring against one that is written as the kernel writes it."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.ring import HEADER_BYTES
from tests.recorder.fake_ring import FakeRing

RECORD_BYTES = 40
Maker = Callable[[], FakeRing]


@pytest.fixture
def make() -> Iterator[Maker]:
    rings: list[FakeRing] = []

    def new() -> FakeRing:
        rings.append(FakeRing(mmap.PAGESIZE, RECORD_BYTES))
        return rings[-1]

    yield new
    for ring in rings:
        ring.close()


def payload(number: int) -> bytes:
    return number.to_bytes(8, "little") * (RECORD_BYTES // 8)


def read(ring: FakeRing, records: int = 1_000, spare_bytes: int = 0) -> list[int]:
    """Read into a buffer for so many records; return the numbers in them, having looked that headers and payloads are whole."""
    buffer = np.full(records * ring.stride + spare_bytes, 0xAA, np.uint8)
    size = ring.reader.read_into(buffer)
    assert size % ring.stride == 0
    assert (buffer[size:] == 0xAA).all(), "nothing is written behind what was read"
    rows = buffer[:size].reshape(-1, ring.stride)
    numbers = []
    for row in rows:
        assert int.from_bytes(row[:4].tobytes(), "little") == RECORD_BYTES
        numbers.append(int.from_bytes(row[HEADER_BYTES : HEADER_BYTES + 8].tobytes(), "little"))
        assert row[HEADER_BYTES:].tobytes() == payload(numbers[-1])
    return numbers


def test_records_come_once_in_the_order_in_which_they_were_made(make: Maker) -> None:
    ring = make()
    assert read(ring) == []
    for number in range(23):
        assert ring.put(payload(number))
    assert ring.reader.pending() == 23
    assert read(ring) == list(range(23))
    assert ring.consumed == ring.produced == 23 * ring.stride
    assert ring.reader.pending() == 0
    assert read(ring) == []


def test_a_small_buffer_takes_whole_records_only(make: Maker) -> None:
    ring = make()
    for number in range(7):
        ring.put(payload(number))
    assert read(ring, 3, spare_bytes=ring.stride - 1) == [0, 1, 2]
    assert read(ring, 0, spare_bytes=ring.stride - 1) == []
    assert read(ring, 3) == [3, 4, 5]
    assert read(ring, 3) == [6]


def test_reading_stops_at_a_record_that_is_being_written(make: Maker) -> None:
    ring = make()
    ring.put(payload(1))
    position = ring.reserve()
    assert position is not None
    ring.put(payload(3))
    assert read(ring) == [1]
    assert read(ring) == []
    assert ring.reader.pending() == 2
    ring.commit(position, payload(2))
    assert read(ring) == [2, 3]


def test_a_record_that_becomes_whole_while_it_is_looked_at_is_not_stepped_over(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    # Found at 1.5 million records a second: taken for discarded, 11 of 15 million went missing, neither read nor counted.
    ring = make()
    position = ring.reserve()
    assert position is not None
    looks = iter(range(1_000))

    def barrier() -> None:  # the second one stands between the look at the headers and what follows from it
        if next(looks) == 1:
            ring.commit(position, payload(23))

    monkeypatch.setattr("recorder.ring._barrier", barrier)
    assert read(ring) == [23]


@pytest.mark.parametrize("discarded", [{0}, {1}, {4}, {0, 1, 2}, {0, 2, 4}, {0, 1, 2, 3, 4}], ids=str)
def test_discarded_records_are_stepped_over(make: Maker, discarded: set[int]) -> None:
    ring = make()
    for number in range(5):
        ring.put(payload(number), discard=number in discarded)
    numbers = []
    while found := read(ring):
        numbers += found
    assert numbers == [number for number in range(5) if number not in discarded]
    assert ring.consumed == ring.produced


def test_records_that_wrap_around_the_end_come_in_one_piece(make: Maker) -> None:
    ring = make()
    assert mmap.PAGESIZE % ring.stride, "else no record ever lies across the end"
    number = 0
    for _ in range(11):
        made = []
        while ring.put(payload(number)):
            made.append(number)
            number += 1
        assert len(made) == ring.reader.capacity
        assert read(ring) == made
    assert ring.consumed > 10 * mmap.PAGESIZE


def test_a_record_of_another_size_is_an_error(make: Maker) -> None:
    ring = make()
    ring.put(payload(0))
    ring.spoil(0, RECORD_BYTES + 8)
    with pytest.raises(RuntimeError, match=r"0x30 where 0x28"):
        read(ring)


def test_records_must_keep_the_rings_alignment() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        FakeRing(mmap.PAGESIZE, 12)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 120)),
        st.tuples(st.just("discard"), st.integers(1, 40)),
        st.tuples(st.just("reserve"), st.just(1)),
        st.tuples(st.just("commit"), st.just(1)),
        st.tuples(st.just("read"), st.integers(0, 100)),
    ),
    max_size=60,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_the_order_nothing_is_lost_doubled_or_changed(make: Maker, steps: list[tuple[str, int]]) -> None:
    ring = make()
    made: list[int] = []
    open_records: list[tuple[int, int]] = []
    found: list[int] = []
    number = 0
    for step, count in steps:
        if step in ("put", "discard"):
            for _ in range(count):
                if ring.put(payload(number), discard=step == "discard") and step == "put":
                    made.append(number)
                number += 1
        elif step == "reserve" and (position := ring.reserve()) is not None:
            open_records.append((position, number))
            made.append(number)
            number += 1
        elif step == "commit" and open_records:
            position, reserved = open_records.pop()
            ring.commit(position, payload(reserved))
        elif step == "read":
            found += read(ring, count)
    for position, reserved in open_records:
        ring.commit(position, payload(reserved))
    while ring.reader.pending():
        found += read(ring)
    assert found == made
