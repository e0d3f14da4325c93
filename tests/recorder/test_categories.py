"""Bytes that become words: names, addresses, what an address is, and numbers that stand for something."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.decode import address, category, known_address, known_text, numbered, scope, text


def test_names_that_differ_behind_their_nul_are_one() -> None:
    found = category(np.array([b"sh\0old", b"sh", b"sh\0new"], "S16"), text)
    assert found.dictionary.to_pylist() == ["sh"]
    assert found.to_pylist() == ["sh"] * 3


def packed(rows: Sequence[object]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return addresses as the kernel side writes them: 16 bytes each, IPv4 mapped into IPv6."""
    six = [ip_address(f"::ffff:{row}") if ip_address(str(row)).version == 4 else ip_address(str(row)) for row in rows]
    return np.frombuffer(b"".join(row.packed for row in six), np.uint8).reshape(-1, 16)


def plain(row: object) -> str:
    return str(getattr(row, "ipv4_mapped", None) or row)


ADDRESSES = st.lists(
    st.one_of(st.ip_addresses(v=6), st.ip_addresses(v=4), st.sampled_from(["0.0.0.0", "::"]).map(ip_address)), min_size=1, max_size=9
)


@given(rows=ADDRESSES)
def test_sixteen_bytes_are_an_address_in_its_canonical_text(rows: list[object]) -> None:
    assert category(packed(rows), address).to_pylist() == [plain(row) for row in rows]


@given(rows=ADDRESSES)
def test_the_unspecified_address_is_null_where_it_may_be(rows: list[object]) -> None:
    found = category(packed(rows), known_address)
    found.validate(full=True)
    assert found.to_pylist() == [None if plain(row) in ("0.0.0.0", "::") else plain(row) for row in rows]
    assert None not in found.dictionary.to_pylist()


def test_words_that_are_null_are_in_no_dictionary() -> None:
    found = category(np.array([b"", b"sh", b"\0old", b"sh\0old"], "S16"), known_text)
    found.validate(full=True)
    assert found.to_pylist() == [None, "sh", None, "sh"]
    assert found.dictionary.to_pylist() == ["sh"]
    assert category(np.array([b"", b""], "S16"), known_text).to_pylist() == [None, None]
    assert category(np.empty(0, "S16"), known_text).to_pylist() == []


@pytest.mark.parametrize(
    ("ip", "what"),
    [
        ("0.0.0.0", None),
        ("::", None),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("169.254.0.1", "link_local"),
        ("fe80::1", "link_local"),
        ("224.0.0.251", "multicast"),
        ("239.1.2.3", "multicast"),
        ("ff02::1", "multicast"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("203.0.113.1", "private"),
        ("255.255.255.255", "private"),
        ("fd00::1", "private"),
        ("2001:db8::1", "private"),
        ("172.32.0.1", "global"),
        ("8.8.8.8", "global"),
        ("2a00:1450:4001:81b::200e", "global"),
    ],
)
def test_a_scope_is_what_an_address_is(ip: str, what: str | None) -> None:
    assert category(packed([ip_address(ip)] * 2), scope).to_pylist() == [what] * 2


@given(rows=ADDRESSES)
def test_every_address_but_the_unspecified_one_has_a_scope(rows: list[object]) -> None:
    scopes = category(packed(rows), scope).to_pylist()
    assert [found is None for found in scopes] == [plain(row) in ("0.0.0.0", "::") for row in rows]
    assert set(scopes) <= {None, "loopback", "private", "link_local", "multicast", "global"}


@pytest.mark.parametrize("width", [np.uint8, np.uint16, np.uint32], ids=lambda width: width.__name__)
def test_numbers_stand_for_words_and_for_themselves_behind_the_last_one(width: type[np.unsignedinteger]) -> None:
    found = category(np.array([2, 0, 1, 3, 200, 2], width), numbered((None, "one", "two")))
    assert found.to_pylist() == ["two", None, "one", "3", "200", "two"]
