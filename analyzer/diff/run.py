"""Carry out ``bpftape diff``: look at both recordings, compare, and write what came of it in one of the formats that answers have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analyzer.answer import Answer
from analyzer.confinement import confine
from analyzer.diff.aspect import Side, aspects, look
from analyzer.diff.compare import Difference, compare, counted
from analyzer.diff.ports import fold, has_ports, listening, note
from analyzer.errors import AnalyzerError
from analyzer.header import Column, Header
from analyzer.output import open_output
from analyzer.recording import Recording, open_recordings
from analyzer.render import load
from analyzer.report import Report
from analyzer.result import Field, Result
from analyzer.run import check_format
from analyzer.sql_error import near
from analyzer.trust import Trust
from analyzer.watch import watched
from analyzer.wording import said

_TITLE = "diff"
_COLUMNS = (
    Column("aspect", "VARCHAR", "-", "what was compared"),
    Column("change", "VARCHAR", "-", "what is different in B: new, gone, more, fewer, slower, faster; same with --all"),
    Column("what", "VARCHAR", "-", "what it is about"),
    Column("a_events", "BIGINT", "-", "how often it was in A"),
    Column("b_events", "BIGINT", "-", "how often it was in B"),
    Column("a_value", "DOUBLE", "-", "events a minute, or the median latency, in A"),
    Column("b_value", "DOUBLE", "-", "the same in B"),
    Column("unit", "VARCHAR", "-", "unit of both"),
    Column("times", "DOUBLE", "-", "b_value in terms of a_value"),
    Column("p", "DOUBLE", "-", "probability of such a difference by chance, corrected for the number of comparisons"),
    Column("certain", "BOOLEAN", "-", "false where what was lost, filtered or not covered could be the reason"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed."""

    a: Path
    b: Path
    form: str = "table"
    output: Path | None = None
    only: Sequence[str] = ()
    times: float = 1.5
    p: float = 0.01
    everything: bool = False
    each_port: bool = False


def diff(request: Request) -> None:
    """Compare two recordings and write the differences. Raises AnalyzerError for whatever the user can mend."""
    check_format(request.form, str(request.output) if request.output else None)
    _check(request)
    sides = [open_recordings([request.a]), open_recordings([request.b])]
    confine([recording.path for side in sides for recording in side], [request.output])
    answer = compared(request, *sides)
    module = load(request.form)
    with open_output(request.output) as (out, width):
        module.write(answer.for_eyes() if module.TRAITS.for_eyes else answer, out, width)
    if not module.TRAITS.tells_trust:
        print("\n".join(said(answer)), file=sys.stderr)


def compared(request: Request, *sides: Sequence[Recording]) -> Answer:
    """Return the differences between two sides, in terms of a ``request`` that makes sense. Raises AnalyzerError where a file is damaged."""
    chosen = [aspect for aspect in aspects() if aspect.name in request.only or not request.only]
    first, second = (_look(side, chosen) for side in sides)
    rows: list[tuple[object, ...]] = []
    notes = _hosts(*sides)
    folded: dict[str, int] = {}
    for aspect in chosen:
        a, b = first.sides[aspect.name], second.sides[aspect.name]
        notes += _notes(aspect.name, a, b)
        if not a.missing and not b.missing:
            if not request.each_port:
                a, b, folded[aspect.name] = fold(a, b, first.listening & second.listening)
            found = compare(a, b, request.times, request.p)
            rows += [_row(aspect.name, item) for item in (found if request.everything else counted(found))]
    return _answer(rows, [*notes, *note(folded)], sides, [*first.sides.values(), *second.sides.values()])


def _check(request: Request) -> None:
    names = [aspect.name for aspect in aspects()]
    for name in request.only:
        if name not in names:
            raise AnalyzerError(f"--only {name}: nothing is compared by that.", near(name, names) or f"Aspects: {', '.join(names)}.")
    if not request.times >= 1:
        raise AnalyzerError(f"--times {request.times:g}: a difference is 1 or more times.", "1.5 leaves out what changed by less than half.")
    if not 0 < request.p <= 1:
        raise AnalyzerError(f"--p {request.p:g}: that is no probability.", "0.01 leaves out what chance brings about once in a hundred times.")
    if load(request.form).TRAITS.arrow:
        raise AnalyzerError(f"diff does not write {request.form}.", "--format csv or jsonl")
    try:
        import scipy.stats  # noqa: F401 - to say so before a long look at the recordings
    except ImportError:
        raise AnalyzerError("SciPy, which the statistics are from, is not installed.", "pip install 'bpftape[diff]', or pip install scipy") from None


def _hosts(a: Sequence[Recording], b: Sequence[Recording]) -> list[str]:
    """Return what to know where one side is merged of more recordings than the other."""
    if len(a) == len(b):
        return []
    return [f"A is {_merged_of(a)}, B is {_merged_of(b)}: what is on hosts of one of them only is new or gone; rates are by the minute of a host"]


def _merged_of(side: Sequence[Recording]) -> str:
    return f"merged of {len(side)} recordings" if side[0].place else "one recording"


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found on one side: each aspect, and the ephemeral ports that somebody listens on."""

    sides: dict[str, Side]
    listening: frozenset[int]


def _look(side: Sequence[Recording], chosen: Sequence[Report]) -> _Looked:
    from analyzer.sandbox import open_sandbox

    with open_sandbox(side) as sandbox, watched(sandbox, _TITLE):
        found = {aspect.name: look(sandbox, aspect) for aspect in chosen}
        return _Looked(found, listening(sandbox) if any(has_ports(side) for side in found.values()) else frozenset())


def _notes(name: str, a: Side, b: Side) -> list[str]:
    found = [f"{name}: nothing can be said, {side.missing} ({letter})" for letter, side in (("A", a), ("B", b)) if side.missing]
    found += [f"{name}: {letter} has more of them than are compared" for letter, side in (("A", a), ("B", b)) if side.is_cut]
    return found


def _row(aspect: str, item: Difference) -> tuple[object, ...]:
    values = (item.a_value, item.b_value, item.times)
    a_value, b_value, times = (None if value is None else float(f"{value:.3g}") for value in values)
    p = None if item.p is None else float(f"{item.p:.2g}")
    return (aspect, str(item.change), item.what, item.a_events, item.b_events, a_value, b_value, item.unit, times, p, item.is_certain)


def _answer(rows: list[tuple[object, ...]], notes: Sequence[str], opened: Sequence[Sequence[Recording]], sides: Sequence[Side]) -> Answer:
    report = Report(_TITLE, "", Header(title="Differences: what is new, gone or changed in B", question="What is different in B?", columns=_COLUMNS))
    result = Result(tuple(Field(column.name, column.type) for column in _COLUMNS), iter([rows] if rows else []))
    windows = {window.recording: window for side in sides for window in side.trust.windows}
    judged = sorted((table for side in sides for table in side.trust.tables), key=lambda table: table.verdict)
    tables = {(table.recording, table.table): table for table in judged}  # two copies of one recording have one id: the worse one is told
    letters = {recording.id: f"{letter} {recording.name}" for letter, side in zip("AB", opened, strict=True) for recording in side}
    return Answer(report, result, Trust(tuple(windows.values()), tuple(tables.values())), letters, tuple(notes))
