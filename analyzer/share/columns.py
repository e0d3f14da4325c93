"""What a treatment makes of a whole column: each distinct value is treated once, rows only get other numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.share.masking import MASKED, Masker, is_secret_flag, is_user_flag, takes_password_after_p
from analyzer.share.policy import Policy, Treatment
from analyzer.share.pseudonyms import Pseudonyms
from analyzer.share.source import dictionary_of
from recorder.schema import Column, Kind, Table, Type, arrow_schema

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

# Options of `record` whose values are names, and of which kind; the values of others are numbers.
_FILTERS = {"comm": Kind.PROGRAM, "container": Kind.CONTAINER, "cgroup": Kind.CONTAINER, "uid": Kind.USER, "daddr": Kind.ADDRESS}
_NUMBERS = frozenset({"pid", "port", "family"})


def filter_value(word: str) -> tuple[Kind, str]:
    """Return of an option=value of `record` what kind of thing the value is, and the value; plain is what needs no treatment."""
    option, equals, value = word.partition("=")
    if not equals or option in _NUMBERS:
        return Kind.PLAIN, ""
    return _FILTERS.get(option, Kind.FILTER), value


class Columns:
    """Treats columns by a policy, under a key. ``masker`` is for text that stays."""

    def __init__(self, policy: Policy, pseudonyms: Pseudonyms, masker: Masker) -> None:
        self._policy = policy
        self._pseudonyms = pseudonyms
        self._masker = masker

    def table(self, table: Table, rows: pa.Table, changed: dict[str, int]) -> pa.Table:
        """Return ``rows`` as they may be handed out, with all columns of ``table``. ``changed`` counts the values that were treated, by column."""
        made = []
        for column, field in zip(table.columns, arrow_schema(table), strict=True):
            if column.name not in rows.column_names:
                made.append(pa.chunked_array([pa.nulls(rows.num_rows, field.type)]))
                continue
            treatment = self._policy.treatment(table, column)
            old = rows[column.name]
            if treatment is not Treatment.KEEP:
                changed[column.name] = changed.get(column.name, 0) + len(old) - old.null_count
            chunks = [self._chunk(column, treatment, chunk) for chunk in old.chunks]
            made.append(pa.chunked_array([_as(chunk, field.type) for chunk in chunks], field.type))
        return pa.table(made, schema=arrow_schema(table))

    def _chunk(self, column: Column, treatment: Treatment, chunk: pa.Array) -> pa.Array:
        match treatment:
            case Treatment.KEEP:
                return chunk
            case Treatment.DROP:
                return _dropped(column, len(chunk))
            case Treatment.SHIFT:
                return _shifted(column, chunk, self._pseudonyms.shift_us)
            case Treatment.TOKEN if column.type is Type.INT32:
                return _numbers(chunk, self._pseudonyms.user)
            case Treatment.PROGRAM:
                return self._programs(chunk)
            case Treatment.MASK if column.type is Type.STRINGS:
                return self._masked_lists(chunk)
        if column.type is not Type.STRINGS:
            return _words(chunk, self._treated(column, treatment))
        return _lists(chunk, _words(chunk.flatten(), self._treated(column, treatment)))

    def _treated(self, column: Column, treatment: Treatment) -> Callable[[list[str]], list[str]]:
        """Return the function that treats distinct texts."""
        kind = column.kind
        assert kind is not None
        if treatment is Treatment.PREFIX:
            return self._pseudonyms.addresses
        if treatment is Treatment.MASK:
            return lambda texts: [self._masker(text) for text in texts]
        if kind is Kind.FILTER:
            return lambda texts: [self.filter_word(text) for text in texts]
        return lambda texts: self._pseudonyms.tokens(kind, texts)

    def filter_word(self, word: str) -> str:
        """Return an option=value of `record` with the value treated as what it is."""
        kind, value = filter_value(word)
        if kind is Kind.PLAIN:
            return word
        return word.removesuffix(value) + self._value(kind, self._policy.kinds[kind], value)

    def _value(self, kind: Kind, treatment: Treatment, value: str) -> str:
        if treatment is Treatment.KEEP:
            return value
        if treatment is Treatment.PREFIX:
            return self._pseudonyms.network(value)
        if treatment is Treatment.MASK:
            return self._masker(value)
        if kind is Kind.USER and value.isdecimal() and int(value) < 1 << 32:
            number = int(value)
            return str(self._pseudonyms.user(number - (1 << 32) if number >> 31 else number) % (1 << 32))
        return self._pseudonyms.token(kind, value)

    def _programs(self, lists: pa.ListArray) -> pa.ListArray:
        """Return of each list the token of its first text's last part, which is the program's name."""
        values, offsets = dictionary_of(lists.flatten()), _offsets(lists)
        heads = values.take(pa.array(offsets[:-1][np.diff(offsets) > 0]))
        names = _words(heads, lambda texts: self._pseudonyms.tokens(Kind.PROGRAM, [text.rpartition("/")[2] for text in texts]))
        return _listed(lists, names, np.minimum(np.diff(offsets), 1))

    def _masked_lists(self, lists: pa.ListArray) -> pa.ListArray:
        values, offsets = dictionary_of(lists.flatten()), _offsets(lists)
        masked = dictionary_of(_words(values, lambda texts: [self._masker(text, is_argument=True) for text in texts]))
        secret, user, password = self._secret_places(values, offsets)
        texts = masked.dictionary.to_pylist()
        places = np.asarray(masked.indices.to_numpy(zero_copy_only=False)).copy()
        for place in np.flatnonzero(secret | user | password):
            text = texts[places[place]]
            kept = "" if secret[place] else text[:2] if password[place] else text.partition(":")[0] + ":"
            places[place] = len(texts)
            texts.append(kept + MASKED)
        return _listed(lists, _deduplicated(places, texts, masked), np.diff(offsets))

    def _secret_places(self, values: pa.DictionaryArray, offsets: Numbers) -> tuple[Flags, Flags, Flags]:
        """Return where a text is a secret for what stands before it, a user with a password, or ``-p`` with one."""
        words = values.dictionary.to_pylist()
        indices = np.asarray(values.indices.to_numpy(zero_copy_only=False))
        sizes = np.diff(offsets)
        firsts = np.repeat(offsets[:-1], sizes)
        follows = np.arange(len(indices)) > firsts
        before = indices[np.maximum(np.arange(len(indices)) - 1, 0)] if len(indices) else indices

        def those(test: Callable[[str], bool], places: npt.NDArray[np.integer]) -> Flags:
            return np.array([test(word) for word in words], np.bool_)[places] if words else np.zeros(len(places), np.bool_)

        secret = follows & those(is_secret_flag, before)
        user = follows & those(is_user_flag, before) & those(lambda word: ":" in word, indices)
        takes = those(takes_password_after_p, indices[firsts] if len(indices) else indices)
        password = follows & takes & those(lambda word: word.startswith("-p") and len(word) > 2, indices)
        return secret, user & ~secret, password & ~secret & ~user


def _as(chunk: pa.Array, kind: pa.DataType) -> pa.Array:
    if chunk.type == kind:
        return chunk
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(chunk.type):
        return chunk.dictionary_encode()
    return chunk.cast(kind)


def _dropped(column: Column, rows: int) -> pa.Array:
    kinds = {
        Type.STRINGS: pa.list_(pa.string()),
        Type.INT32: pa.int32(),
        Type.INT64: pa.int64(),
        Type.BOOL: pa.bool_(),
        Type.TIMESTAMP: pa.timestamp("us"),
    }
    kind = kinds.get(column.type, pa.string())
    if column.nullable:
        return pa.nulls(rows, kind)
    return pa.repeat(pa.scalar([] if column.type is Type.STRINGS else "", kind), rows)


def _shifted(column: Column, chunk: pa.Array, shift_us: int) -> pa.Array:
    if column.type is Type.TIMESTAMP:
        return pc.add(chunk.cast(pa.int64()), shift_us).cast(pa.timestamp("us"))
    return pc.add(chunk, shift_us * 1_000)


def _numbers(chunk: pa.Array, treated: Callable[[int], int]) -> pa.Array:
    found = chunk.dictionary_encode()
    return pa.array([treated(number) for number in found.dictionary.to_pylist()], chunk.type).take(found.indices)


def _words(values: pa.Array, treated: Callable[[list[str]], list[str]]) -> pa.DictionaryArray:
    """Return ``values`` with each distinct text treated; NULL stays NULL."""
    coded = dictionary_of(values)
    old = coded.dictionary.to_pylist()
    new = iter(treated([text for text in old if text is not None]))
    places = np.asarray(coded.indices.fill_null(0).to_numpy(zero_copy_only=False))
    return _deduplicated(places, ["" if text is None else next(new) for text in old], coded)


def _deduplicated(places: npt.NDArray[np.integer], texts: Sequence[str], like: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return a dictionary array with each text once, as Parquet's writer needs it, and only those in use; NULL where ``like`` has it."""
    is_used = np.zeros(len(texts) + 1, np.bool_)
    is_used[places[np.asarray(like.is_valid())] if like.null_count else places] = True
    used = np.flatnonzero(is_used)
    distinct = pa.array([texts[place] for place in used.tolist()], pa.string()).dictionary_encode()
    moved = np.zeros(len(texts) + 1, np.int32)
    moved[used] = distinct.indices
    mask = np.asarray(like.is_null()) if like.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(moved[places], pa.int32(), mask=mask), distinct.dictionary)


def _offsets(lists: pa.ListArray) -> Numbers:
    """Return where each list begins among the flattened values, and where the last one ends; NULL is as an empty list."""
    sizes = np.asarray(pc.list_value_length(lists).fill_null(0))
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _lists(lists: pa.ListArray, values: pa.Array) -> pa.ListArray:
    return _listed(lists, values, np.diff(_offsets(lists)))


def _listed(lists: pa.ListArray, values: pa.Array, sizes: Numbers) -> pa.ListArray:
    """Return lists of these sizes from ``values``, NULL where ``lists`` has it."""
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
    mask = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), values.cast(pa.string()), mask=mask)
