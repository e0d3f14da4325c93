"""The sieve: of very many originals those are left that are in a copy, and next to no others."""

from __future__ import annotations

import random

import numpy as np
import pytest

from analyzer.share.sieve import _AT_ONCE_BYTES, Sieve, Tails
from recorder.schema import Kind

PATHS = [f"/srv/build/{number:x}/artefact" + f"{number * 2_654_435_761 % (1 << 32):08x}" for number in range(20_000)]
NOTHING = np.zeros(0, np.uint64)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.share.sieve._SLOTS_LOG2", 22)


def sieve(data: bytes, *, among_addresses: bool = False, whole: list[str] | None = None, addresses: list[str] | None = None) -> Sieve:
    made = Sieve()
    made.expect(Kind.FILE, PATHS)
    made.expect(Kind.ADDRESS, addresses or [])
    found: Tails = made.search(data, among_addresses)
    made.found(found, made.search_whole(whole) if whole else NOTHING)
    return made


@pytest.mark.parametrize("at", [0, 1, _AT_ONCE_BYTES - 20, _AT_ONCE_BYTES - 3, 2 * _AT_ONCE_BYTES, 3 * _AT_ONCE_BYTES - len(PATHS[0])])
def test_an_original_is_left_wherever_it_stands_among_random_bytes(at: int) -> None:
    data = bytearray(random.Random(at).randbytes(3 * _AT_ONCE_BYTES))
    for number, place in ((7, at), (19_999, (at + _AT_ONCE_BYTES // 2) % (len(data) - 100))):
        data[place : place + len(PATHS[number])] = PATHS[number].encode()
    planted = [path for path in PATHS if path.encode() in data]
    assert PATHS[7] in planted or at + len(PATHS[7]) > len(data)
    left = sieve(bytes(data)).left(Kind.FILE, PATHS)
    assert set(left) >= set(planted)
    assert len(left) <= len(planted) + 10


def test_what_is_not_there_is_not_left() -> None:
    assert sieve(b"").left(Kind.FILE, PATHS) == []
    assert sieve(b"/srv/build/1/artefac").left(Kind.FILE, PATHS) == []


def test_what_is_too_short_to_tell_or_a_token_itself_is_left() -> None:
    names = ["web1", "a-long-name", "host-dqgfovzmj6jxhryb", "nö", "ünïç"]
    assert sieve(b"").left(Kind.HOST, names) == ["web1", "host-dqgfovzmj6jxhryb", "nö"]


def test_an_address_that_ends_as_a_pseudonym_does_is_left_only_where_it_is_there_as_a_whole() -> None:
    originals, pseudonyms = ["192.168.10.17", "192.168.10.18", "2001:db8::17"], ["37.4.168.10.17", "192.168.10.18"]
    data = "\0".join(pseudonyms).encode()
    assert sieve(data, addresses=originals).left(Kind.ADDRESS, originals) == ["192.168.10.17", "192.168.10.18"]
    assert sieve(data, among_addresses=True, whole=pseudonyms, addresses=originals).left(Kind.ADDRESS, originals) == ["192.168.10.18"]
