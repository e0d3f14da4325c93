"""What of one recording is asked about, as a condition on the rows of each table.

The conditions are made of numbers alone, which the analyzer has computed or read as numbers: nothing that somebody typed, or that a stranger's
recording holds as text, becomes SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from recorder.schema import TABLES

Context = tuple[int | None, int | None]
"""Where a process runs: its pid_ns and its cgroup_id."""

_NUMBER = "BIGINT"


@dataclass(frozen=True, slots=True)
class Cut:
    """From ``since_ns`` on, before ``until_ns`` (CLOCK_BOOTTIME), and in one of ``contexts``; None is no bound."""

    since_ns: int | None = None
    until_ns: int | None = None
    contexts: frozenset[Context] | None = None

    def shifted(self, by_ns: int) -> Cut:
        """Return the same cut, in the time of a clock that is so much ahead."""
        since_ns, until_ns = (None if time_ns is None else time_ns + by_ns for time_ns in (self.since_ns, self.until_ns))
        return replace(self, since_ns=since_ns, until_ns=until_ns)

    def where(self, table: str, columns: Mapping[str, str]) -> str:
        """Return the WHERE clause for a table with these columns (name to type), or an empty text where the table stays whole."""
        conditions = [*self._time(table, columns), *self._place(columns)]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _time(self, table: str, columns: Mapping[str, str]) -> Iterable[str]:
        if columns.get("ts_ns") != _NUMBER or (table in TABLES and TABLES[table].lasting):
            return
        # A row with an interval counts what happened in all of it, and cannot be divided.
        end = "ts_ns + interval_ns > " if columns.get("interval_ns") == _NUMBER else "ts_ns >= "
        # What coverage says of the tables that stay whole stays whole, too.
        either = " OR ".join(f"\"table\" = '{name}'" for name, item in TABLES.items() if item.lasting) if table == "coverage" else "false"
        if self.since_ns is not None:
            yield f"({end}{self.since_ns:d} OR {either})"
        if self.until_ns is not None:
            yield f"(ts_ns < {self.until_ns:d} OR {either})"

    def _place(self, columns: Mapping[str, str]) -> Iterable[str]:
        if self.contexts is None or not {"pid_ns", "cgroup_id"} <= set(columns):
            return
        groups: dict[int | None, list[int]] = {}
        for pid_ns, cgroup_id in self.contexts:
            if cgroup_id is not None:
                groups.setdefault(pid_ns, []).append(cgroup_id)
        alternatives = [
            f"pid_ns {'IS NULL' if pid_ns is None else f'= {pid_ns:d}'} AND cgroup_id IN ({', '.join(f'{number:d}' for number in sorted(found))})"
            for pid_ns, found in groups.items()
        ]
        yield f"({' OR '.join(alternatives) or 'false'})"

    def is_whole(self, table: str) -> bool:
        """Say whether rows of ``table`` are not told apart by where their process ran, though that is asked for."""
        columns = {column.name for column in TABLES[table].columns} if table in TABLES else {"pid_ns", "cgroup_id"}
        return self.contexts is not None and not {"pid_ns", "cgroup_id"} <= columns


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked about: a cut of each recording that is not left out, by its id. ``words`` say it as the user did; empty: of everything."""

    cuts: Mapping[str, Cut] = field(default_factory=dict)
    words: str = ""


WHOLE = Cut()
"""All of a recording."""
