"""Put into words what a result rests on: a line for people, a sentence in the place of no rows, an object for JSON.

No text of these has control characters in it: hook names, reasons and names of recordings are a stranger's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.text import printable
from analyzer.trust import TableTrust, Trust, Verdict
from analyzer.window import Window
from recorder.schema import NANOSECONDS, TABLES, restricts

if TYPE_CHECKING:
    from analyzer.answer import Answer

_MOST_NAMES = 3


def line(trust: Trust, names: Mapping[str, str]) -> str:
    """Return one line about ``trust`` for people; ``names`` has what to call each recording id. What holds for many recordings is said once."""
    doubted: dict[str, list[str]] = {}
    for window in trust.windows:
        for text in _doubts(window, trust):
            doubted.setdefault(text, []).append(names[window.recording])
    many = len(trust.windows) > 1
    shown = [f"{_some(found)}: {text}" if many else text for text, found in doubted.items()]
    text = f"coverage: {trust.verdict.label} ({'; '.join(shown) if shown else _all_is_well(trust)})"
    if trust.verdict == Verdict.NOT_RECORDED:
        text += ", so no rows do not mean that nothing happened"
    return printable(text)


def said(answer: Answer) -> list[str]:
    """Return the lines about ``answer`` that people must see, where its format does not tell them itself."""
    notes = [f"note: {printable(note)}" for note in answer.notes]
    return [*notes, line(answer.trust, answer.names)] if answer.trust else notes


def nothing(trust: Trust | None) -> str:
    """Return what stands where there are no rows: what was not recorded did not therefore not happen."""
    if trust is None or trust.is_complete:
        return "no rows"
    if trust.verdict == Verdict.NOT_RECORDED:
        return "not recorded, which is not the same as no rows"
    return f"no rows in what was recorded: {trust.verdict.label}"


def as_json(trust: Trust | None, names: Mapping[str, str], notes: Sequence[str]) -> dict[str, Any]:
    """Return the same for programs. Times are UTC, ``tables`` are only those that were read and that a tracer makes."""
    found = trust or Trust((), ())
    return {
        "verdict": found.verdict.label,
        "complete": found.is_complete,
        "text": line(found, names) if trust else "",
        "recordings": [
            {
                "recording": names[window.recording],
                "recording_id": window.recording,
                "seconds": window.seconds,
                "clean_end": window.clean,
                "being_written": window.being_written,
                "filters": list(window.filters),
                "tables": [_table_json(table) for table in found.tables if table.recording == window.recording],
            }
            for window in found.windows
        ],
        "notes": list(notes),
    }


def _table_json(table: TableTrust) -> dict[str, Any]:
    return {
        "table": table.table,
        "verdict": table.verdict.label,
        "covered_seconds": table.covered_ns / NANOSECONDS,
        "events": table.events,
        "lost": table.lost,
        "lost_from": table.lost_from,
        "lost_to": table.lost_to,
        "reason": table.reason or None,
    }


def _doubts(window: Window, trust: Trust) -> list[str]:
    texts = []
    reasons: dict[str, list[str]] = {}
    for table in trust.tables:
        if table.recording != window.recording:
            continue
        if table.verdict == Verdict.NOT_RECORDED:
            reasons.setdefault(f": {table.reason}", []).append(table.table)
        elif table.verdict == Verdict.PARTIAL:
            what = f" attached for {table.covered_ns / NANOSECONDS:.1f} of {window.seconds:.1f} s" + (f", {table.reason}" if table.reason else "")
            reasons.setdefault(what, []).append(table.table)
        if table.lost:
            texts.append(f"{table.lost:,} of {table.events + table.lost:,} {table.table} events lost{_when(table)}")
    texts = [f"{_listed(tables)}{reason}" for reason, tables in reasons.items()] + texts
    if not window.known:
        texts.append("nothing tells what was asked for: its table recording is missing")
    elif not window.clean:
        what = "still being written" if window.being_written else "killed or still being written"
        texts.append(f"{what}: what is here ends after {window.seconds:.1f} s")
    tables = [table.table for table in trust.tables if table.recording == window.recording]
    if words := [word for word in window.filters if any(restricts(word, table) for table in tables)]:
        texts.append(f"only what {' and '.join(words)} let through was recorded")
    return texts


def _when(table: TableTrust) -> str:
    if not table.lost_from or not table.lost_to:
        return ""
    times = slice(11, None) if table.lost_from[:10] == table.lost_to[:10] else slice(None)
    return f" between {table.lost_from[times]} and {table.lost_to[times]} UTC"


def _all_is_well(trust: Trust) -> str:
    traced = [table for table in trust.tables if TABLES[table.table].tracer]
    if not traced:
        return "what was read needs no tracer"
    names = list(dict.fromkeys(table.table for table in traced))
    seconds = sum(window.seconds for window in trust.windows)
    where = f" in {len(trust.windows)} recordings" if len(trust.windows) > 1 else ""
    steady = [name for name in names if not TABLES[name].is_own_doing]
    of_window = [f"{_listed(steady)} attached for all of {seconds:.1f} s{where}"] if steady else []
    own = [name for name in names if TABLES[name].is_own_doing]
    as_asked = [f"{_listed(own)} for as long as was asked for{'' if steady else where}"] if own else []
    return f"{', '.join(of_window + as_asked)}, none of {sum(table.events for table in traced):,} events lost"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return _listed([*names[:_MOST_NAMES], f"{more:,} more"] if more > 1 else names)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
