"""The leak check: read what is about to be handed out, and look for what must not be in it.

It trusts nothing of what was written: originals are read from the recording once more, and the copy is read as files: decoded values of every
column of text, statistics, the bytes of pages (decompressed) and their headers, key-value metadata, and all bytes as they lie on the disk. What
stands where tokens belong must have their form, what stands where addresses belong must be one.

A name that is found may be there for another reason: it is also a value or word that the policy keeps (a container called `nginx`, where names of
programs stay), a word of the format itself, or an address that is the pseudonym of another one. Only then it counts as no leak.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ahocorasick_rs import BytesAhoCorasick

from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import Segment
from analyzer.parallel import each
from analyzer.parquet import open_parquet
from analyzer.progress import Advance, progress
from analyzer.recording import Recording
from analyzer.share.copy import MOST_AT_ONCE
from analyzer.share.masking import ANYWHERE, without_secrets
from analyzer.share.originals import TEXT_TYPES, Originals, addresses, kept, originals
from analyzer.share.pages import pages
from analyzer.share.policy import Policy, Treatment
from analyzer.share.pseudonyms import Pseudonyms, is_token, packed, without_tokens
from analyzer.share.sieve import sieve
from analyzer.share.source import batches, joined, segments_of, texts, total_bytes
from recorder.schema import TABLES, Column, Kind, Table, Type, arrow_schema

# Compressed bytes are random: what is shorter comes up by chance in a large file. In decompressed pages it does not.
_IN_COMPRESSED_BYTES = 9
_SUSPECTS = 1_000
_V4_BEFORE, _V4_AFTER = re.compile(rb"[0-9.]"), re.compile(rb"[0-9]|\.[0-9]")
_V6_BEFORE = _V6_AFTER = re.compile(rb"[0-9A-Fa-f:.]")


@dataclass(frozen=True, slots=True)
class Suspect:
    """An original that was found: what it is, where it is from, and where it was found."""

    text: str
    kind: Kind
    origin: str
    place: str


class _Search:
    """Finds some originals in values and in bytes."""

    def __init__(self, lot: Originals) -> None:
        self._known = lot.found
        self._long = [text for text in lot.found if len(text.encode("utf-8", "surrogatepass")) >= ANYWHERE]
        self._find = BytesAhoCorasick([text.encode("utf-8", "surrogatepass") for text in self._long]).find_matches_as_indexes if self._long else None

    def whole(self, values: list[str], place: str) -> Iterator[Suspect]:
        """Yield originals that are among ``values``."""
        return (self._suspect(text, place) for text in self._known.keys() & values)

    def within(self, data: bytes | memoryview, place: str, shortest: int = ANYWHERE) -> Iterator[Suspect]:
        """Yield originals of ``shortest`` bytes and more in ``data``."""
        for number, start, end in self._find(data, overlapping=True) if self._find else ():
            text = self._long[number]
            if end - start >= shortest and self._stands_alone(text, bytes(data[max(start - 1, 0) : start]), bytes(data[end : end + 2])):
                yield self._suspect(text, place)

    def _stands_alone(self, text: str, before: bytes, after: bytes) -> bool:
        """Say whether an address is one where it was found, and not the middle of another: 10.0.0.1 is in 110.0.0.12."""
        if self._known[text][0] is not Kind.ADDRESS:
            return True
        is_v6 = ":" in text
        return not (_V6_BEFORE if is_v6 else _V4_BEFORE).search(before) and not (_V6_AFTER if is_v6 else _V4_AFTER).match(after)

    def _suspect(self, text: str, place: str) -> Suspect:
        kind, origin = self._known[text]
        return Suspect(text, kind, origin, place)


@dataclass(slots=True)
class Check:
    """One check of the copies of one recording, or of the parts of a merged one.

    ``metadata`` is what each file's key-value metadata must be, by the id of its copy, and for a table.
    """

    recordings: Sequence[Recording]
    policy: Policy
    pseudonyms: Pseudonyms
    metadata: Mapping[str, Callable[[str], dict[str, str]]]
    suspects: set[Suspect] = field(default_factory=set)
    is_formed: bool = False
    """All values were held to the form that they must have, which takes no originals: once is enough."""

    def run(self, copies: Sequence[Recording], manifests: Sequence[Path]) -> None:
        """Raise AnalyzerError, naming the column, if the copies are not fit to be handed out."""
        for lot in self._lots(copies, manifests):
            search = _Search(lot)
            for manifest in manifests:
                self.suspects.update(search.within(manifest.read_bytes(), manifest.name))
            with progress("checking", sum(map(total_bytes, copies))) as advance:
                self.suspects.update(*each(partial(self._segment, search), segments_of(copies), advance, MOST_AT_ONCE))
            self.is_formed = True
            if len(self.suspects) > _SUSPECTS:
                break
        leaks = self._without_excuse()
        if leaks:
            raise _leak(min(leaks, key=lambda leak: (-len(leak.text), leak.place, leak.origin)), len(leaks))

    def _lots(self, copies: Sequence[Recording], manifests: Sequence[Path]) -> Iterable[Originals]:
        """Return what is to be searched for: all originals, or where these are too many for one search those that may be there."""
        first = next(originals(self.recordings, self.policy))
        if not first.is_full:
            return [first]
        try:
            made = sieve(self.recordings, self.policy, copies, b"".join(manifest.read_bytes() for manifest in manifests))
        except ValueError as error:
            raise _wrong("the copy", f"bytes that cannot be read ({error})") from None
        return originals(self.recordings, self.policy, made.left)

    def _segment(self, search: _Search, item: tuple[Recording, Segment], advance: Advance) -> set[Suspect]:
        copy, segment = item
        table = TABLES[segment.table]
        columns = {column.name: column for column in table.columns if column.type in TEXT_TYPES}
        found: set[Suspect] = set()
        for rows in batches(copy, segment, table, list(columns)):
            advance(0)
            for name in rows.column_names:
                for values in texts(rows[name]):
                    found.update(self._values(search, table, columns[name], values))
        data = memoryview(segment.path.read_bytes())
        place = f"{segment.table}/{segment.path.name}"
        found.update(search.within(data, place, _IN_COMPRESSED_BYTES))
        with open_parquet(segment.path) as file:
            self._metadata(file, copy, table, place)
            found.update(self._statistics(file, search, table, columns))
            try:
                for page in pages(file, data):
                    advance(0)
                    column = columns[page.column.partition(".")[0]]
                    found.update(self._page(search, table, column, page.header + b"\0" + (page.content if page.is_text else b"")))
            except ValueError as error:
                raise _wrong(place, f"bytes that cannot be read ({error})") from None
        advance(segment.bytes)
        return found

    def _values(self, search: _Search, table: Table, column: Column, values: list[str]) -> Iterator[Suspect]:
        treatment, place = self.policy.treatment(table, column), f"{table.name}.{column.name}"
        if not self.is_formed:
            _check_form(treatment, self.policy.gives_tokens(table, column), values, place)
        yield from search.whole(values, place)
        if not self.policy.gives_tokens(table, column) and treatment is not Treatment.PREFIX:
            yield from self._that_count(search.within(without_tokens(joined(values)), place), treatment, column)

    def _page(self, search: _Search, table: Table, column: Column, data: bytes) -> Iterator[Suspect]:
        found = search.within(without_tokens(data), f"{table.name}.{column.name}")
        return self._that_count(found, self.policy.treatment(table, column), column)

    def _that_count(self, found: Iterable[Suspect], treatment: Treatment, column: Column) -> Iterator[Suspect]:
        """Leave out what comes up by chance: a part of an address in another one, and a container's name in that of a program that stays."""
        for suspect in found:
            is_part = suspect.kind is Kind.ADDRESS and treatment is Treatment.PREFIX
            is_program = suspect.kind is Kind.CONTAINER and column.kind is Kind.PROGRAM and treatment is Treatment.KEEP
            if not (is_part or is_program):
                yield suspect

    def _statistics(self, file: pq.ParquetFile, search: _Search, table: Table, columns: dict[str, Column]) -> Iterator[Suspect]:
        for group in range(file.metadata.num_row_groups):
            for number in range(file.metadata.num_columns):
                chunk = file.metadata.row_group(group).column(number)
                if chunk.physical_type == "BYTE_ARRAY" and chunk.statistics is not None and chunk.statistics.has_min_max:
                    column = columns[chunk.path_in_schema.partition(".")[0]]
                    yield from self._values(search, table, column, [chunk.statistics.min, chunk.statistics.max])

    def _metadata(self, file: pq.ParquetFile, copy: Recording, table: Table, place: str) -> None:
        found = {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema"}
        if found != self.metadata[copy.id](table.name):
            raise _wrong(place, "key-value metadata that is not its own")
        if _described(file.schema_arrow) != _described(arrow_schema(table)):
            raise _wrong(place, "a schema that is not its own")

    def _without_excuse(self) -> set[Suspect]:
        """Return the suspects that are in the copy for no other reason."""
        left = {suspect.text for suspect in self.suspects} - _format_words()
        if left:
            for kind, values in kept(self.recordings, self.policy):
                left.difference_update(values)
                if kind is Kind.PLAIN:
                    left.difference_update(*map(_words, values))
        if any(suspect.kind is Kind.ADDRESS and suspect.text in left for suspect in self.suspects):
            for values in addresses(self.recordings, self.policy):
                pairs = zip(values, self.pseudonyms.addresses(values), strict=True)
                left.difference_update(new for old, new in pairs if new != old)
        return {suspect for suspect in self.suspects if suspect.text in left}


def _check_form(treatment: Treatment, are_tokens: bool, values: list[str], place: str) -> None:
    """Raise AnalyzerError where tokens, addresses or masked text belong, and something else is."""
    if are_tokens:
        wrong, what = (value for value in values if value and not is_token(value)), "a value that is no token"
    elif treatment is Treatment.PREFIX:
        wrong, what = (value for value in values if packed(value) is None and not is_token(value)), "a value that is no address"
    elif treatment is Treatment.MASK:
        wrong, what = (value for value in values if without_secrets(value) != value), "a secret"
    else:
        return
    if next(wrong, None) is not None:
        raise _wrong(place, what)


def _described(schema: pa.Schema) -> list[tuple[str, dict[bytes, bytes]]]:
    """Return all texts of a schema that somebody chose; Parquet adds numbers of fields."""
    return [(field.name, {key: text for key, text in (field.metadata or {}).items() if key != b"PARQUET:field_id"}) for field in schema]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9]+", text)


def _format_words() -> set[str]:
    """Return the words that are in every recording: names and docs of the schema, names of kinds and treatments, what libraries write."""
    fixed = [*Kind, *Treatment, *Type, "bpftape format table recording_id recorder shared", "parquet-cpp-arrow version ARROW:schema"]
    for table in TABLES.values():
        fixed += [table.name, *(text for column in table.columns for text in (column.name, column.doc, column.unit or ""))]
    return {word for text in fixed for word in (*text.split(), *_words(text))}


def _wrong(place: str, what: str) -> AnalyzerError:
    return AnalyzerError(
        f"The leak check found {what} in {place}: nothing is handed out.", "This is a defect of bpftape: please report it.", Exit.FAILED
    )


def _leak(leak: Suspect, count: int) -> AnalyzerError:
    more = f", and {count - 1:,} more" if count > 1 else ""
    return AnalyzerError(
        f"The leak check found a value of {leak.origin} in {leak.place}{more}: nothing is handed out.",
        'Mask or drop that column: a policy file with base = "standard" and, under [columns], its name and what becomes of it.',
        Exit.FAILED,
    )
