"""Say what a recording does not have: which rows of which table, and from when to when.

The kernel's counts in ``coverage`` are held against the rows that are there. Where the recorder was killed, rows are missing that it had counted
already; where a segment is damaged, the manifest knows what was in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recorder.schema import NANOSECONDS, TABLES

if TYPE_CHECKING:
    from analyzer.manifest import Segment

COLUMNS = ("ts_ns", "interval_ns", "tracer", "table", "events", "lost", "bytes", "unwritten")
"""The columns of ``coverage`` that this needs."""

Row = Mapping[str, Any]

_SLACK_NS = 3_600 * NANOSECONDS
"""As long as a segment can be open: so far behind the last one that is known there may be rows."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows that a recording does not have. ``rows`` is None where nobody counted them; times are CLOCK_BOOTTIME.

    ``told`` says that ``coverage`` counts them as lost, so that every answer tells of them.
    """

    table: str
    rows: int | None
    from_ns: int
    to_ns: int
    why: str
    told: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of coverage of one table."""

    from_ns: int
    to_ns: int
    events: int


@dataclass(frozen=True, slots=True)
class Covered:
    """What ``coverage`` says of one table: its intervals in order of time, and the rows that it says are not in the recording."""

    table: str
    tracer: str
    intervals: tuple[Interval, ...]
    unwritten: tuple[Missing, ...]

    @property
    def rows(self) -> int:
        """Return how many rows should be there."""
        return sum(item.events for item in self.intervals) - sum(item.rows or 0 for item in self.unwritten)

    @property
    def from_ns(self) -> int:
        """Return when coverage begins."""
        return self.intervals[0].from_ns if self.intervals else 0

    @property
    def to_ns(self) -> int:
        """Return when coverage ends."""
        return max((item.to_ns for item in self.intervals), default=0)


def covered(rows: Iterable[Row]) -> dict[str, Covered]:
    """Sort the rows of ``coverage`` by what they are: intervals, and rows that tell what was not written."""
    by_table: dict[str, list[Row]] = {}
    for row in rows:
        by_table.setdefault(row["table"], []).append(row)
    return {table: _covered(table, found) for table, found in by_table.items()}


def _covered(table: str, rows: Sequence[Row]) -> Covered:
    begin = min(row["ts_ns"] for row in rows)
    end = max(row["ts_ns"] + row["interval_ns"] for row in rows)
    intervals, unwritten = [], []
    for row in sorted(rows, key=lambda row: (row["ts_ns"], row["interval_ns"])):
        to_ns = row["ts_ns"] + row["interval_ns"]
        # Before the column unwritten was there, such a row was known by its span.
        whole = (row["ts_ns"], to_ns) == (begin, end) and len(rows) > 1 and not row["events"] and not row["bytes"]
        if row["unwritten"] is None and not whole:
            intervals.append(Interval(row["ts_ns"], to_ns, row["events"]))
        else:
            count = row["lost"] if row["unwritten"] is None else row["unwritten"]
            unwritten.append(Missing(table, count, row["ts_ns"], to_ns, "was not written", told=True))
    return Covered(table, rows[0]["tracer"], tuple(intervals), tuple(unwritten))


def holes(of: Covered, start_ns: int, end_ns: int | None) -> list[Missing]:
    """Return the times between ``start_ns`` and ``end_ns`` (None: the last interval's end) that no interval of a table covers."""
    found, at_ns = [], start_ns
    for item in of.intervals:
        if item.from_ns > at_ns:
            found.append(Missing(of.table, None, at_ns, item.from_ns, "is not covered"))
        at_ns = max(at_ns, item.to_ns)
    if end_ns is not None and end_ns > at_ns:
        found.append(Missing(of.table, None, at_ns, end_ns, "is not covered"))
    return found


def damage(segments: Collection[Segment], known_ns: tuple[int, int], counted: Mapping[str, int]) -> list[Missing]:
    """Return what ``segments``, which are damaged, had in them, as the manifest has it where that can be.

    ``known_ns`` is from when to when the recording goes, as far as is known. ``counted`` has the rows that are missing, by table, where the kernel's
    counts are all there.
    """
    found = []
    for table in dict.fromkeys(item.table for item in segments):
        if table in TABLES and TABLES[table].tracer:
            of = [item for item in segments if item.table == table]
            for item, rows in _shares(of, counted.get(table)):
                if rows or table not in counted:
                    found.append(Missing(table, rows, *_span_ns(item, known_ns), f"{item.name} is damaged"))
    return found


def _shares(segments: Collection[Segment], counted: int | None) -> Iterator[tuple[Segment, int]]:
    """Yield how many rows each had: what the manifest says, or, where these are not as many as were ``counted``, others for the larger ones."""
    ordered = sorted(segments, key=lambda item: item.rows)
    for item in ordered:
        if counted is None:
            yield item, item.rows
        else:
            rows = counted if item is ordered[-1] else min(item.rows, counted)
            counted -= rows
            yield item, rows


def _span_ns(item: Segment, known_ns: tuple[int, int]) -> tuple[int, int]:
    """Return when a damaged segment's rows are from: as the manifest has it, or where that cannot be, any time of the recording."""
    begin_ns, end_ns = known_ns
    first_ns, last_ns = item.first_ts_ns, item.last_ts_ns
    if first_ns is None or last_ns is None or not begin_ns - _SLACK_NS <= first_ns <= last_ns <= end_ns + _SLACK_NS:
        return known_ns
    return first_ns, last_ns


def tail(of: Covered, sound: Collection[Segment], damaged: Collection[Missing], is_clean: bool) -> list[Missing]:
    """Return what was counted and is in no segment: what was open when the recorder was ended comes behind the last row that is there."""
    there, lost = [item for item in sound if item.table == of.table], [item for item in damaged if item.table == of.table]
    count = of.rows - sum(item.rows for item in there) - sum(item.rows or 0 for item in lost)
    if count <= 0:
        return []
    last_ns = max([item.last_ts_ns for item in there if item.last_ts_ns is not None] + [item.to_ns for item in lost], default=of.from_ns)
    if is_clean:
        return [Missing(of.table, count, of.from_ns, of.to_ns, "is in no segment that the manifest names")]
    return [Missing(of.table, count, min(last_ns, of.to_ns), of.to_ns, "was in an open segment when the recorder was ended")]
