"""What must not be found in a shared copy: the values that stood where pseudonyms stand now, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from analyzer.recording import Recording
from analyzer.share.columns import filter_value
from analyzer.share.policy import Policy, Treatment
from analyzer.share.source import batches, texts
from recorder.schema import TABLES, Column, Kind, Table, Type

# Arguments, names of programs and sentences are made of words that may stand anywhere. They are held to the form of their tokens instead.
_NAMES = frozenset({Kind.ADDRESS, Kind.HOST, Kind.CONTAINER, Kind.ID, Kind.USER, Kind.FILE, Kind.FILTER, Kind.SYSTEM})
TEXT_TYPES = frozenset({Type.STRING, Type.CATEGORY, Type.STRINGS})

# So many originals are searched for at once: memory stays bounded, however many there are.
_AT_ONCE = 200_000
_AT_ONCE_CHARACTERS = 16 << 20


@dataclass(slots=True)
class Originals:
    """Some originals: of each its kind, and the column that it is from."""

    found: dict[str, tuple[Kind, str]] = field(default_factory=dict)
    characters: int = 0

    def add(self, text: str, kind: Kind, column: str) -> None:
        """Take ``text`` in, unless it says nothing or is no name: a path that is relative is a word like others."""
        if text and kind in _NAMES and text not in self.found and (kind is not Kind.FILE or "/" in text):
            self.found[text] = (kind, column)
            self.characters += len(text)

    @property
    def is_full(self) -> bool:
        """Whether it is time to search for these."""
        return len(self.found) >= _AT_ONCE or self.characters >= _AT_ONCE_CHARACTERS


Leave = Callable[[Kind, list[str]], list[str]]


def originals(recordings: Sequence[Recording], policy: Policy, left: Leave = lambda _, texts: texts) -> Iterator[Originals]:
    """Yield the originals of recordings, those of them that ``left`` leaves, some at a time; there is always a first lot."""
    lot = Originals()
    for kind, text in in_manifests(recordings, policy):
        lot.add(text, kind, "the manifest")
    for name, kind, values in hidden(recordings, policy):
        for value in left(kind, values):
            lot.add(value, kind, name)
        if lot.is_full:
            yield lot
            lot = Originals()
    yield lot


def in_manifests(recordings: Sequence[Recording], policy: Policy) -> list[tuple[Kind, str]]:
    """Return what manifests say that is not to be handed out: ids of recordings, and names of those that are merged."""
    places = [recording.place for recording in recordings if recording.place]
    found = [(Kind.ID, text) for text in (*(recording.id for recording in recordings), *{place.timeline for place in places})]
    if policy.kinds[Kind.HOST] is not Treatment.KEEP:
        found += [(Kind.HOST, place.part.name) for place in places]
    return found


def names(recordings: Sequence[Recording], policy: Policy) -> Iterator[tuple[Kind, str]]:
    """Yield the names of hosts and containers that become tokens, to find them in text that stays; each at least once."""
    for _, kind, values in hidden(recordings, policy, frozenset({Kind.HOST, Kind.CONTAINER, Kind.ID, Kind.FILTER})):
        if kind in (Kind.HOST, Kind.CONTAINER, Kind.ID):
            yield from ((kind, value) for value in values if value)


def kept(recordings: Sequence[Recording], policy: Policy) -> Iterator[tuple[Kind, list[str]]]:
    """Yield the texts of the columns that are kept as they are, with their kinds."""
    for _, column, found in _texts(recordings, lambda table, column: policy.treatment(table, column) is Treatment.KEEP):
        assert column.kind is not None
        yield column.kind, found


def addresses(recordings: Sequence[Recording], policy: Policy) -> Iterator[list[str]]:
    """Yield the addresses that become other ones."""
    for _, _, found in _texts(recordings, lambda table, column: policy.treatment(table, column) is Treatment.PREFIX):
        yield found


def hidden(recordings: Sequence[Recording], policy: Policy, kinds: frozenset[Kind] = _NAMES) -> Iterator[tuple[str, Kind, list[str]]]:
    """Yield the texts of columns of ``kinds`` that do not stay; of an option=value the value, which is of its option's kind."""

    def is_hidden(table: Table, column: Column) -> bool:
        return column.kind in kinds and policy.treatment(table, column) not in (Treatment.KEEP, Treatment.MASK)

    for name, column, found in _texts(recordings, is_hidden):
        assert column.kind is not None
        if column.kind is Kind.FILTER:
            for kind, value in map(filter_value, found):
                if kind is not Kind.ADDRESS or "/" not in value:  # of 256 pseudonyms of a /8 one is the same by chance
                    yield name, kind, [value]
        else:
            yield name, column.kind, found


def _texts(recordings: Sequence[Recording], wanted: Callable[[Table, Column], bool]) -> Iterator[tuple[str, Column, list[str]]]:
    """Yield the texts of the columns that are wanted: name of table and column, column, and distinct values of a row group."""
    for table in TABLES.values():
        columns = {column.name: column for column in table.columns if column.type in TEXT_TYPES and wanted(table, column)}
        found = [(recording, segment) for recording in recordings for segment in recording.tables.get(table.name, [])]
        for recording, segment in found if columns else ():
            for rows in batches(recording, segment, table, list(columns)):
                for name in rows.column_names:
                    for values in texts(rows[name]):
                        yield f"{table.name}.{name}", columns[name], values


def distinct_hosts(recordings: Sequence[Recording]) -> set[str]:
    """Return the names of the hosts that recordings are of."""
    return {host for _, _, found in _texts(recordings, lambda table, column: (table.name, column.name) == ("recording", "host")) for host in found}
