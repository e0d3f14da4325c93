"""What sharing changes, for people, for programs, and for the manifest of the copy: columns, treatments and counts; no values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.recording import Recording
from analyzer.share.policy import Policy, Treatment
from analyzer.text import printable
from recorder.schema import TABLES, Column


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one column: how many values that are not NULL it changes."""

    table: str
    column: Column
    treatment: Treatment
    values: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What was, or would be, shared.

    ``left_out`` names tables that this version does not know; ``output`` is None when nothing was written; ``notes`` are sentences for people.
    """

    recording: Path
    policy: Policy
    rows: int
    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    key: str
    output: str | None
    notes: tuple[str, ...] = ()


def changes(recordings: Sequence[Recording], policy: Policy, counts: Sequence[Mapping[str, Mapping[str, int]]]) -> tuple[Change, ...]:
    """Return what a policy changes in the tables that recordings have; ``counts`` has the values of each, by table and column."""
    found = []
    for table in TABLES.values():
        for column in table.columns if any(table.name in recording.tables for recording in recordings) else ():
            treatment = policy.treatment(table, column)
            if treatment is not Treatment.KEEP:
                values = sum(each.get(table.name, {}).get(column.name, 0) for each in counts)
                found.append(Change(table.name, column, treatment, values))
    return tuple(found)


def left_out(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return the tables of recordings that are not copied, since nobody knows what is in them."""
    return tuple(sorted({table for recording in recordings for table in recording.tables} - set(TABLES)))


def about(policy: Policy, changed: tuple[Change, ...], missing: tuple[str, ...]) -> dict[str, Any]:
    """Return what the manifest of a copy says about how it was made."""
    return {
        "policy": policy.name,
        "kinds": {kind.value: treatment.value for kind, treatment in policy.kinds.items()},
        "columns": {f"{change.table}.{change.column.name}": {"treatment": change.treatment.value, "values": change.values} for change in changed},
        "left_out": list(missing),
    }


def as_json(summary: Summary) -> dict[str, Any]:
    """Return ``summary`` as what JSON has."""
    return {
        "recording": str(summary.recording),
        "output": summary.output,
        "rows": summary.rows,
        "key": summary.key,
        "notes": list(summary.notes),
        **about(summary.policy, summary.changes, summary.left_out),
    }


def as_text(summary: Summary) -> str:
    """Return ``summary`` for people: a line for each name of columns that change, then what was done."""
    lines = _lined_up([("column", "kind", "becomes", "values", "tables"), *_rows(summary.changes)])
    lines += [f"left out: {table}, which this version does not know" for table in summary.left_out]
    name = summary.recording.name
    if summary.output is None:
        lines.append(f"nothing was written: this is what --policy {summary.policy.name} does to {summary.rows:,} rows of {name}")
    else:
        lines.append(f"{summary.output} is {name} under the policy {summary.policy.name}: {summary.rows:,} rows. The leak check found nothing.")
    lines.append(f"key: {summary.key}")
    return "\n".join(map(printable, lines))


def _rows(changed: tuple[Change, ...]) -> list[tuple[str, ...]]:
    """Return a row for each name, kind and treatment: how many values, and in which tables."""
    groups: dict[tuple[str, str, str], list[Change]] = {}
    for change in changed:
        if change.values:
            groups.setdefault((change.column.name, str(change.column.kind), change.treatment.value), []).append(change)
    return [(*key, f"{sum(change.values for change in found):,}", ", ".join(change.table for change in found)) for key, found in groups.items()]


def _lined_up(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[number]) for row in rows) for number in range(4)]
    rows.insert(1, tuple("─" * width for width in (*widths, len(rows[0][-1]))))
    return ["  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].ljust(widths[2]), row[3].rjust(widths[3]), row[4]]) for row in rows]
