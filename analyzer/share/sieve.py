"""Tell which of very many originals may be in a copy at all, reading each of both once, however many there are.

To search for all of them takes their words in memory, some at a time, and the whole copy again each time. This takes the last bytes of each: their
hashes go into a Bloom filter (1970), all places of the copy are held against it, and the originals against what was found there. What is not told
to be there is not; for the rest the search is made as it is for few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from analyzer.manifest import Segment
from analyzer.parallel import each
from analyzer.parquet import open_parquet
from analyzer.progress import Advance, progress
from analyzer.recording import Recording
from analyzer.share.copy import MOST_AT_ONCE
from analyzer.share.masking import ANYWHERE
from analyzer.share.originals import TEXT_TYPES, hidden, in_manifests
from analyzer.share.pages import pages
from analyzer.share.policy import Policy, Treatment
from analyzer.share.pseudonyms import is_token, without_tokens
from analyzer.share.source import batches, joined, segments_of, texts, total_bytes
from recorder.schema import TABLES, Kind

# Six bytes: as many as the shortest original has that is looked for in the middle of something.
_TAIL_BYTES = ANYWHERE
_MASK = np.uint64((1 << 8 * _TAIL_BYTES) - 1)
# 32 MiB a filter: of 10,000,000 originals one place in 200 of a copy is taken for one of them, of 1,000,000 one in 20,000.
_SLOTS_LOG2 = 28
# Odd numbers, whose products' upper bits are as good as random: multiplicative hashing.
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_AT_ONCE_BYTES = 1 << 18

Tails = npt.NDArray[np.uint64]


class _Filter:
    """A set of tails that may say yes where it should say no, and never no where it should say yes."""

    def __init__(self) -> None:
        self._bits = np.zeros(1 << (_SLOTS_LOG2 - 3), np.uint8)

    def add(self, tails: Tails) -> None:
        """Take ``tails`` in; by one thread at a time."""
        for factor in _FACTORS:
            slots = _slots(tails, factor)
            np.bitwise_or.at(self._bits, slots >> np.uint64(3), _bit(slots))

    def has(self, tails: Tails) -> npt.NDArray[np.bool_]:
        """Say of each whether it is there."""
        found = np.ones(len(tails), np.bool_)
        for factor in _FACTORS:
            places = np.flatnonzero(found)
            slots = _slots(tails[places], factor)
            found[places] = self._bits[slots >> np.uint64(3)] & _bit(slots) != 0
        return found


def _slots(tails: Tails, factor: np.uint64) -> Tails:
    return (tails * factor) >> np.uint64(64 - _SLOTS_LOG2)


def _bit(slots: Tails) -> npt.NDArray[np.uint8]:
    return np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8)


class Sieve:
    """What is known of originals, and of what may be in a copy of them.

    Many addresses end alike. Where pseudonyms of others stand, an address is there only if it is there as a whole.
    """

    def __init__(self) -> None:
        self._names, self._addresses, self._found = _Filter(), _Filter(), _Filter()
        self._whole, self._found_whole = _Filter(), _Filter()

    def expect(self, kind: Kind, texts: Sequence[str]) -> None:
        """Take originals in."""
        (self._addresses if kind is Kind.ADDRESS else self._names).add(_tails(texts)[1])
        if kind is Kind.ADDRESS:
            self._whole.add(_hashes(texts))

    def search(self, data: bytes, among_addresses: bool = False) -> Tails:
        """Return the last bytes of originals that ``data`` may have in it, for :meth:`found`; threads may do so at once."""
        found = [np.zeros(0, np.uint64)]
        for start in range(0, len(data) - _TAIL_BYTES + 1, _AT_ONCE_BYTES):
            some = data[start : start + _AT_ONCE_BYTES + _TAIL_BYTES - 1] + b"\0" * (8 - _TAIL_BYTES)
            tails = np.ndarray((len(some) - 7,), "<u8", some, strides=(1,)) & _MASK
            is_there = self._names.has(tails) if among_addresses else self._names.has(tails) | self._addresses.has(tails)
            found.append(np.unique(tails[is_there]))
        return np.concatenate(found)

    def search_whole(self, texts: Sequence[str]) -> Tails:
        """Return what may be addresses among ``texts``, for :meth:`found`."""
        hashes = _hashes(texts)
        return hashes[self._whole.has(hashes)]

    def found(self, tails: Tails, whole: Tails) -> None:
        """Take in what was found; by one thread at a time."""
        self._found.add(tails)
        self._found_whole.add(whole)

    def left(self, kind: Kind, texts: Sequence[str]) -> list[str]:
        """Return the originals among ``texts`` that may be in the copy: also those that are too short to tell, or are tokens themselves."""
        is_long, tails = _tails(texts)
        may_be = ~is_long
        may_be[is_long] = self._found.has(tails)
        if kind is Kind.ADDRESS:
            may_be |= self._found_whole.has(_hashes(texts))
        return [text for text, there in zip(texts, may_be.tolist(), strict=True) if there or is_token(text)]


def _hashes(texts: Sequence[str]) -> Tails:
    return np.fromiter(map(hash, texts), np.int64, len(texts)).astype(np.uint64)


def _tails(texts: Sequence[str]) -> tuple[npt.NDArray[np.bool_], Tails]:
    """Return which of ``texts`` are long enough, and the last bytes of these."""
    ends = [text[-_TAIL_BYTES:].encode("utf-8", "surrogatepass")[-_TAIL_BYTES:] for text in texts]
    is_long = np.fromiter((len(end) == _TAIL_BYTES for end in ends), np.bool_, len(ends))
    padding = b"\0" * (8 - _TAIL_BYTES)
    data = b"".join(end + padding for end in ends if len(end) == _TAIL_BYTES)
    return is_long, np.frombuffer(data, "<u8")


def sieve(recordings: Sequence[Recording], policy: Policy, copies: Sequence[Recording], manifests: bytes) -> Sieve:
    """Read all originals of ``recordings`` and all of ``copies``, and return what tells the ones that may be in it from the others."""
    made = Sieve()
    for kind, text in in_manifests(recordings, policy):
        made.expect(kind, [text])
    for _, kind, values in hidden(recordings, policy):
        made.expect(kind, values)
    made.found(made.search(manifests), np.zeros(0, np.uint64))
    with progress("sieving", sum(map(total_bytes, copies))) as advance:
        for found in each(lambda item, advance: _searched(made, policy, *item, advance), segments_of(copies), advance, MOST_AT_ONCE):
            made.found(*found)
    return made


def _searched(made: Sieve, policy: Policy, copy: Recording, segment: Segment, advance: Advance) -> tuple[Tails, Tails]:
    """Return what may be in one segment: in its bytes, its pages, and the values that are no tokens."""
    table = TABLES[segment.table]
    columns = {column.name: column for column in table.columns if column.type in TEXT_TYPES}
    are_addresses = {name for name, column in columns.items() if policy.treatment(table, column) is Treatment.PREFIX}
    data = segment.path.read_bytes()
    tails, whole = [made.search(data)], [np.zeros(0, np.uint64)]
    for rows in batches(copy, segment, table, [name for name, column in columns.items() if not policy.gives_tokens(table, column)]):
        advance(0)
        for name in rows.column_names:
            for values in texts(rows[name]):
                tails.append(made.search(joined(values), name in are_addresses))
                whole.append(made.search_whole(values) if name in are_addresses else whole[0])
    with open_parquet(segment.path) as file:
        for page in pages(file, memoryview(data)):
            advance(0)
            content = without_tokens(page.header + b"\0" + (page.content if page.is_text else b""))
            tails.append(made.search(content, page.column.partition(".")[0] in are_addresses))
    advance(segment.bytes)
    return np.concatenate(tails), np.concatenate(whole)
