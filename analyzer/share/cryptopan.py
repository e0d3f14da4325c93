"""Crypto-PAn: pseudonyms of IP addresses that keep prefixes, so that two addresses of one network stay in one network.

The construction is that of Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization: Measurement-based Security Evaluation and a New
Cryptography-based Scheme" (ICNP 2002): bit k of the pseudonym is bit k of the address, flipped or not by a pseudo-random function of the bits before
it. That function is the first bit of AES over those bits, filled up from a secret pad. For IPv6 the same goes on over 128 bits. AES is that of
`cryptography`; all bits of many addresses go through it in one call, since the one library there is takes a call for each bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = 32

_BLOCK_BYTES = 16
# Addresses that go through AES at once: 8 MiB of blocks for IPv6.
_AT_ONCE = 4_096

Packed = npt.NDArray[np.uint8]


class CryptoPan:
    """Crypto-PAn under one key of 32 bytes: 16 for AES, 16 that AES turns into the pad."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"Crypto-PAn takes {KEY_BYTES} bytes of key")
        self._aes = Cipher(algorithms.AES(key[:_BLOCK_BYTES]), modes.ECB())  # each block by itself: no mode is involved
        self._pad = np.frombuffer(self._encrypted(key[_BLOCK_BYTES:]), np.uint8)
        bits = np.arange(8 * _BLOCK_BYTES)
        # Row k has the first k bits set: those that the address gives to the block of its bit k.
        self._masks = np.packbits(bits[None, :] < bits[:, None], axis=1)

    @property
    def flips_first_bit(self) -> bool:
        """Whether the first bit of every address is another one in its pseudonym, so that none is its own.

        Else one in 20,000 is: where bits of the address are those of the pad, AES gets the same block more than once.
        """
        return self._encrypted(self._pad.tobytes())[0] >> 7 == 1

    def pseudonyms(self, addresses: Packed) -> Packed:
        """Return the pseudonyms of packed addresses (rows by 4 or 16 bytes), in the same order."""
        parts = [self._some(addresses[start : start + _AT_ONCE]) for start in range(0, len(addresses), _AT_ONCE)]
        return np.concatenate(parts) if parts else addresses

    def _some(self, addresses: Packed) -> Packed:
        rows, width = addresses.shape
        whole = np.zeros((rows, _BLOCK_BYTES), np.uint8)
        whole[:, :width] = addresses
        masks = self._masks[: 8 * width]
        blocks = (whole[:, None, :] & masks) | (self._pad & ~masks)
        encrypted = np.frombuffer(self._encrypted(blocks.tobytes()), np.uint8).reshape(rows, 8 * width, _BLOCK_BYTES)
        return addresses ^ np.packbits(encrypted[:, :, 0] >> 7, axis=1)

    def _encrypted(self, blocks: bytes) -> bytes:
        return self._aes.encryptor().update(blocks)  # one of its own: threads cannot share it
