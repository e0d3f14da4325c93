"""Pseudonyms under one key: tokens for names, Crypto-PAn for addresses, other numbers for users, another date."""

from __future__ import annotations

import ipaddress
import itertools
import re
import socket
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

from analyzer.share.cryptopan import KEY_BYTES, CryptoPan
from recorder.schema import Kind

IPV4_BYTES, IPV6_BYTES = 4, 16
_NOTHING = b"\0" * 10
_MAPPED = _NOTHING + b"\xff\xff"

_WORDS = {
    Kind.ADDRESS: "address",
    Kind.ARGV: "arg",
    Kind.CONTAINER: "container",
    Kind.FILE: "file",
    Kind.FILTER: "value",
    Kind.HOST: "host",
    Kind.ID: "id",
    Kind.MESSAGE: "text",
    Kind.PROGRAM: "prog",
    Kind.RULE: "rule",
    Kind.SYSTEM: "system",
    Kind.USER: "user",
}
_NAME_BYTES = 10
_BASE_32 = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
# comm has at most 15 bytes: "prog-" and ten characters of base 32. 50 bits: of 10,000 names two become one in 22 million recordings.
_PROGRAM_CHARACTERS = 10

TOKEN = rf"(?:{'|'.join(sorted(_WORDS.values()))})-[a-z2-7]{{{_PROGRAM_CHARACTERS}}}(?:[a-z2-7]{{6}})?"
"""What a token looks like, as a regular expression."""

_IS_TOKEN = re.compile(TOKEN)
_TOKENS_IN_BYTES = re.compile(TOKEN.encode())
_REMEMBERED = 1 << 18

# Root and "no user" are the same everywhere, and name nobody.
_PUBLIC_USERS = frozenset({0, -1})
_ROUNDS = 8
_YEAR_US = 365 * 86_400 * 1_000_000


def is_token(text: str) -> bool:
    """Say whether ``text`` has the form of a token."""
    return _IS_TOKEN.fullmatch(text) is not None


def without_tokens(data: bytes) -> bytes:
    """Return ``data`` with a NUL in the place of each token."""
    return _TOKENS_IN_BYTES.sub(b"\0", data)


def packed(text: str) -> bytes | None:
    """Return the 4 or 16 bytes of an IP address, or None where ``text`` is none."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL, or a surrogate
        return None


def is_network(text: str) -> bool:
    """Say whether ``text`` is a network in CIDR notation, and not an address of one."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _text(address: bytes) -> str:
    if len(address) == IPV4_BYTES:
        return socket.inet_ntop(socket.AF_INET, address)
    # inet_ntop() is faster by far, but writes ::1.2.3.4 where ipaddress, and so the recorder, writes ::102:304.
    return str(ipaddress.IPv6Address(address)) if address.startswith(_NOTHING) else socket.inet_ntop(socket.AF_INET6, address)


class Pseudonyms:
    """All pseudonyms under one key of 32 bytes. The same value has the same pseudonym wherever it stands."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        ciphers = (CryptoPan(self._derived(f"crypto-pan {number}")) for number in itertools.count())
        self._pan = next(cipher for cipher in ciphers if cipher.flips_first_bit)
        self._tokens: dict[Kind, dict[str, str]] = {}
        self._addresses: dict[str, str] = {}
        self._user_key = self._derived("users")
        # Back by 1 to 21 years, to the microsecond: neither date nor time of day is left, and all recordings under a key move together.
        self.shift_us = -_YEAR_US - int.from_bytes(self._derived("time")[:8]) % (20 * _YEAR_US)

    def _derived(self, purpose: str, size: int = KEY_BYTES) -> bytes:
        return blake2b(purpose.encode(), key=self._key, digest_size=size, person=b"bpftape share").digest()

    def token(self, kind: Kind, text: str) -> str:
        """Return the token of ``text``, a value of a column of ``kind``: a word for the kind, then 80 bits; 50 for programs.

        An empty text says nothing, and stays empty.
        """
        return self.tokens(kind, [text])[0]

    def tokens(self, kind: Kind, texts: Sequence[str]) -> list[str]:
        """Return the tokens of ``texts``, as :meth:`token` does."""
        remembered = self._tokens.get(kind, {})
        found = {text: remembered.get(text) for text in texts}
        new = [text for text, token in found.items() if token is None and text]
        made = dict(zip(new, self._made_tokens(kind, new), strict=True))
        if len(remembered) + len(made) > _REMEMBERED:
            remembered = {}
        self._tokens[kind] = remembered
        remembered.update(made)
        return [found[text] or made.get(text, "") for text in texts]

    def _made_tokens(self, kind: Kind, texts: Sequence[str]) -> list[str]:
        """Return tokens: all digests become base 32 at once, which a call for each would take longer for than its digest."""
        key, kind_bytes = self._key, kind.value.encode()
        data = [text.encode("utf-8", "surrogatepass") for text in texts]
        digests = b"".join([blake2b(text, key=key, digest_size=_NAME_BYTES, person=kind_bytes).digest() for text in data])
        bits = np.unpackbits(np.frombuffer(digests, np.uint8)).reshape(len(texts), _NAME_BYTES * 8 // 5, 5)
        characters = _BASE_32[np.packbits(bits, axis=2)[:, :, 0] >> 3]
        word = f"{_WORDS[kind]}-"
        size = _PROGRAM_CHARACTERS if kind is Kind.PROGRAM else characters.shape[1]
        joined = characters[:, :size].tobytes().decode()
        return [word + joined[start : start + size] for start in range(0, len(joined), size)]

    def recording_id(self, original: str) -> str:
        """Return the id of the shared copy of a recording: 32 hexadecimal digits, the same for each copy under this key."""
        return self._derived(f"recording {original}", 16).hex()

    def address(self, text: str) -> str:
        """Return the pseudonym of an IP address, as :meth:`addresses` does."""
        return self.addresses([text])[0]

    def addresses(self, texts: Sequence[str]) -> list[str]:
        """Return the pseudonyms of IP addresses. IPv4 addresses that are mapped into IPv6 stay so; what is no address becomes a token."""
        found = {text: self._addresses.get(text) for text in texts}
        made = self._made(text for text, pseudonym in found.items() if pseudonym is None)
        if len(self._addresses) + len(made) > _REMEMBERED:
            self._addresses = {}
        self._addresses.update(made)
        return [made[text] if (known := found[text]) is None else known for text in texts]

    def _made(self, texts: Iterable[str]) -> dict[str, str]:
        made: dict[str, str] = {}
        groups: dict[tuple[int, bytes], list[tuple[str, bytes]]] = {}
        for text in texts:
            if (address := packed(text)) is None:
                made[text] = self.token(Kind.ADDRESS, text)
            elif len(address) == IPV6_BYTES and address.startswith(_MAPPED):
                groups.setdefault((IPV4_BYTES, _MAPPED), []).append((text, address[-IPV4_BYTES:]))
            else:
                groups.setdefault((len(address), b""), []).append((text, address))
        for (width, prefix), group in groups.items():
            old = np.frombuffer(b"".join(address for _, address in group), np.uint8).reshape(-1, width)
            new = self._pan.pseudonyms(old)
            made |= {text: _text(prefix + row.tobytes()) for (text, _), row in zip(group, new, strict=True)}
        return made

    def network(self, text: str) -> str:
        """Return the pseudonym of a network in CIDR notation, or of an address: the network of its addresses' pseudonyms."""
        address, slash, length = text.partition("/")
        if not slash or packed(address) is None or not length.isdecimal():
            return self.address(text)
        try:
            return str(ipaddress.ip_network(f"{self.address(address)}/{length}", strict=False))
        except ValueError:
            return self.token(Kind.ADDRESS, text)

    def user(self, uid: int) -> int:
        """Return the pseudonym of a user id as it stands in an int32: another one, never the same for two. Root and -1 stay."""
        if uid in _PUBLIC_USERS:
            return uid
        number = uid
        while True:  # walk on where the cipher leads to a number that is taken by one that stays
            number = self._permuted(number)
            if number not in _PUBLIC_USERS:
                return number

    def _permuted(self, number: int) -> int:
        """Encrypt 32 bits: a Feistel network, as Luby and Rackoff have it, whose round function is BLAKE2."""
        left, right = number >> 16 & 0xFFFF, number & 0xFFFF
        for turn in range(_ROUNDS):
            digest = blake2b(bytes([turn, *right.to_bytes(2)]), key=self._user_key, digest_size=2).digest()
            left, right = right, left ^ int.from_bytes(digest)
        unsigned = left << 16 | right
        return unsigned - (1 << 32) if unsigned >> 31 else unsigned
