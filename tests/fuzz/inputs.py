"""Inputs for hypothesis: bytes, and what becomes of a good input by a few changes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from tests.fuzz.target import Target

Edit = tuple[float, int, bytes]


def _edited(begin: bytes, edits: Sequence[Edit], longest: int) -> bytes:
    """Return ``begin`` with bytes replaced: an edit is where, as a share of the length, how many go, and what comes in their place."""
    data = begin
    for place, gone, come in edits:
        at = int(place * len(data))
        data = data[:at] + come + data[at + gone :]
    return data[:longest]


def _mutated(begin: bytes, seeds: Sequence[int], target: Target) -> bytes:
    assert target.mutate
    for seed in seeds:
        begin = target.mutate(begin, random.Random(seed))
    return begin[: target.longest]


def inputs(target: Target, kept: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy of inputs for ``target``, made of ``kept`` ones and of nothing."""
    pieces = st.binary(max_size=8) | st.sampled_from(target.words or (b"",))
    begin = st.sampled_from(kept)
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 16), pieces), min_size=1, max_size=6)
    changed = st.builds(lambda data, changes: _edited(data, changes, target.longest), begin, edits)
    made = st.lists(pieces, max_size=12).map(lambda parts: b"".join(parts)[: target.longest])
    if target.mutate is None:
        return changed | made
    return st.builds(lambda data, seeds: _mutated(data, seeds, target), begin, st.lists(st.integers(0, 2**32), min_size=1, max_size=4)) | changed
