"""Crypto-PAn against the test vectors of its authors, and the property that it is for."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.share.cryptopan import CryptoPan
from analyzer.share.pseudonyms import Pseudonyms, _text

# The key of the sample in the authors' own distribution.
KEY = bytes(
    [21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2]
)

# Pairs of its sample_trace_raw.dat and sample_trace_sanitized.dat. The paper has no IPv6: those are what other implementations agree on.
VECTORS = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
    "141.233.145.108": "141.129.237.235",
    "152.163.225.39": "151.140.114.167",
    "156.29.3.236": "147.225.12.42",
    "165.247.96.84": "162.9.99.234",
    "166.107.77.190": "160.132.178.185",
    "192.102.249.13": "252.138.62.131",
    "24.0.250.221": "100.15.198.226",
    "4.3.88.225": "124.60.155.63",
    "64.39.15.238": "0.219.7.41",
    "10.185.25.118": "117.161.29.118",
    "::1": "78ff:f001:9fc0:20df:8380:b1f1:704:ed",
    "::2": "78ff:f001:9fc0:20df:8380:b1f1:704:ef",
    "::ffff": "78ff:f001:9fc0:20df:8380:b1f1:704:f838",
    "2001:db8::1": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e",
    "2001:db8::2": "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c",
}


def pan(*texts: str) -> list[str]:
    rows = np.array([list(ip_address(text).packed) for text in texts], np.uint8)
    return [str(ip_address(row.tobytes())) for row in CryptoPan(KEY).pseudonyms(rows)]


def test_the_published_vectors_come_out() -> None:
    for width in (4, 16):
        texts = [text for text in VECTORS if len(ip_address(text).packed) == width]
        assert len(texts) >= 5
        assert pan(*texts) == [VECTORS[text] for text in texts]


def common(one: bytes, other: bytes) -> int:
    """Return how many bits two addresses begin with in common."""
    bits = 8 * len(one)
    return bits - (int.from_bytes(one) ^ int.from_bytes(other)).bit_length()


@pytest.mark.parametrize("width", [4, 16])
@given(data=st.data())
def test_addresses_have_as_many_bits_in_common_as_before(width: int, data: st.DataObject) -> None:
    one = data.draw(st.binary(min_size=width, max_size=width))
    length = data.draw(st.integers(0, width))
    other = one[:length] + data.draw(st.binary(min_size=width - length, max_size=width - length))
    made = CryptoPan(KEY).pseudonyms(np.array([list(one), list(other)], np.uint8))
    assert common(made[0].tobytes(), made[1].tobytes()) == common(one, other)


def test_many_addresses_are_as_one_after_the_other() -> None:
    rows = np.random.default_rng(7).integers(0, 256, (10_000, 4)).astype(np.uint8)
    made = CryptoPan(KEY).pseudonyms(rows)
    assert made.shape == rows.shape
    for row in (0, 4_095, 4_096, 9_999):
        assert (CryptoPan(KEY).pseudonyms(rows[row : row + 1])[0] == made[row]).all()
    assert len(np.unique(made, axis=0)) == len(np.unique(rows, axis=0))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        CryptoPan(b"short")


def test_addresses_as_text_stay_what_they_are() -> None:
    made = Pseudonyms(b"k" * 32)
    texts = ["10.0.0.5", "2001:db8::1", "::ffff:10.0.0.5", "127.0.0.1", "no address", "10.0.0.5"]
    four, six, mapped, loopback, none, again = made.addresses(texts)
    assert (ip_address(four).version, ip_address(six).version) == (4, 6)
    assert four == again
    assert str(ip_address(mapped).ipv4_mapped) == four  # type: ignore[union-attr]
    assert loopback != "127.0.0.1"
    assert none.startswith("address-")
    assert Pseudonyms(b"k" * 32).addresses(texts) == [four, six, mapped, loopback, none, again]
    assert Pseudonyms(b"l" * 32).address("10.0.0.5") != four


@given(st.binary(min_size=16, max_size=16) | st.lists(st.sampled_from([b"\0\0", b"\0\1", b"\xff\xff"]), min_size=8, max_size=8).map(b"".join))
def test_pseudonyms_are_written_as_the_recorder_writes_addresses(address: bytes) -> None:
    assert _text(address) == str(IPv6Address(address))


def test_the_pseudonym_of_a_network_has_those_of_its_addresses() -> None:
    from ipaddress import ip_network

    made = Pseudonyms(b"k" * 32)
    for network, inside, outside in (("10.0.0.0/8", "10.200.3.4", "11.0.0.1"), ("2001:db8::/32", "2001:db8:5::9", "2001:db9::1")):
        pseudonym = ip_network(made.network(network))
        assert ip_address(made.address(inside)) in pseudonym
        assert ip_address(made.address(outside)) not in pseudonym
    assert made.network("10.0.0.5") == made.address("10.0.0.5")


def test_no_address_is_its_own_pseudonym() -> None:
    """Under keys that leave the first bit alone one in 20,000 is."""
    texts = [f"{number >> 12}.{number >> 4 & 255}.{number & 15}.9" for number in range(0, 1 << 20, 37)]
    for key in range(12):
        made = Pseudonyms(bytes([key]) * 32).addresses(texts)
        assert not any(old == new for old, new in zip(texts, made, strict=True))
        assert len(set(made)) == len(set(texts))
