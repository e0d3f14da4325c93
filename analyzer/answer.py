"""Ask one report of some recordings: its rows, and how far they can be trusted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from analyzer.errors import AnalyzerError
from analyzer.header import Header
from analyzer.merged import notes as merged_notes
from analyzer.result import Field, Result
from analyzer.shared import note
from analyzer.sql_error import near
from analyzer.trust import Trust, assess
from analyzer.window import facts_meanwhile
from recorder.schema import TABLES

if TYPE_CHECKING:
    from analyzer.meter import Meter
    from analyzer.report import Report
    from analyzer.sandbox import Sandbox
    from analyzer.statement import Statement


def _nobody(report: Report) -> NoReturn:
    raise AssertionError(f"nothing to ask {report.name} of")


_OF_SEVERAL = {"recording_id", "client_host", "server_host"}
"""Columns that are the same in each row where there is one recording."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report gave, with all that is needed to write it down.

    ``result`` can be read once. ``trust`` was assessed before the rows came: None where no table was read. ``names`` has what to call each
    recording's id. ``notes`` are sentences for people, without control characters only after printable(). ``values`` are those of its parameters.
    ``also`` asks another report of the same recordings, with the defaults of its parameters; what is left of this one's rows is gone then. An
    answer that no sandbox gave has nobody to ask.
    """

    report: Report
    result: Result
    trust: Trust | None
    names: Mapping[str, str]
    notes: tuple[str, ...]
    values: Mapping[str, object] = field(default_factory=dict)
    also: Callable[[Report], Answer] = _nobody

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is in doubt: all that the tables could hold is in the recordings, without a filter."""
        return self.trust is None or self.trust.is_complete

    @property
    def is_settled(self) -> bool:
        """Say whether what is not in the rows did not happen, to those at least that the recording is about."""
        return self.trust is None or self.trust.is_settled

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the columns."""
        return self.result.fields

    @property
    def bars(self) -> tuple[str, ...]:
        """Return the names of the columns that a bar belongs to."""
        return self.report.header.bars if self.report.header else ()

    def counted(self, meter: Meter, on_terminal: bool) -> Answer:
        """Return the same, of which ``meter`` counts the rows while they are read; ``on_terminal``: that is where they go."""
        return replace(self, result=self.result.through(lambda batches: meter.counted(batches, on_terminal)))

    def for_eyes(self) -> Answer:
        """Return the same without the columns, declared in the header, that are only keys to join with: long numbers, the same id in each row.

        Recordings are called by their names, where each has one of its own.
        """
        declared = {column.name for column in self.report.header.columns} if self.report.header else set()
        keys = declared & ({"start_ns"} | (_OF_SEVERAL if len(self.names) == 1 else set()))
        shown = [number for number, field in enumerate(self.fields) if field.name not in keys]
        fields = tuple(self.fields[number] for number in shown)
        batches = ([tuple(row[number] for number in shown) for row in batch] for batch in self.result.batches)
        result = Result(fields, batches)
        if "recording_id" in declared & {field.name for field in fields} and len(set(self.names.values())) == len(self.names):
            result = result.renamed("recording_id", "recording", self.names)
        return replace(self, result=result)


def ask(sandbox: Sandbox, report: Report, values: Mapping[str, object], arrow: bool = False) -> Answer:
    """Return the answer of ``report`` over the sandbox's recordings; ``values`` are those of its parameters.

    ``arrow`` asks for rows as Arrow has them. They must be read before the sandbox is asked again.

    Raises AnalyzerError: 2 where the report is at fault, 65 where a file of a recording is. So does the stream of rows.
    """
    statement = sandbox.prepare(report.sql, report.name)
    header = report.header or Header()
    if missing := sorted(statement.parameters - set(values)):
        raise AnalyzerError(f"{report.name} needs a value for {', '.join(missing)}.", "; ".join([f"--param {missing[0]}=VALUE", *header.faults]))
    if unknown := sorted(set(values) - statement.parameters - {parameter.name for parameter in header.parameters}):
        hint = near(unknown[0], statement.parameters) or f"Its parameters: {', '.join(sorted(statement.parameters)) or 'none'}."
        raise AnalyzerError(f"{report.name} has no parameter {unknown[0]}.", hint)
    used = {name: value for name, value in values.items() if name in statement.parameters}
    with facts_meanwhile(sandbox) if statement.tables else contextlib.nullcontext():
        result = sandbox.execute(statement, report.name, used, arrow)
    trust = assess(sandbox, statement.tables, header.optional) if statement.tables else None
    names = {recording.id: recording.name for recording in sandbox.recordings}
    notes = _notes(sandbox, report, statement, result)
    return Answer(report, result, trust, names, notes, used, lambda other: ask(sandbox, other, other.values(())))


def _notes(sandbox: Sandbox, report: Report, statement: Statement, result: Result) -> tuple[str, ...]:
    notes = [
        f"the last line of {recording.name}'s manifest is cut off; its segment is not used" for recording in sandbox.recordings if recording.torn
    ]
    notes += filter(None, map(note, sandbox.recordings))
    notes += merged_notes(sandbox.recordings)
    if sandbox.scope.words:
        notes.append(f"narrowed by {sandbox.scope.words}")
        traced = sorted(table for table in statement.tables if table in TABLES and TABLES[table].tracer)
        if whole := [table for table in traced if any(cut.is_whole(table) for cut in sandbox.scope.cuts.values())]:
            notes.append(f"rows of {', '.join(whole)} belong to no container: they are all there")
    if report.header:
        notes += [f"{report.name}'s header: {lie}" for lie in report.header.lies(statement.tables, statement.parameters, result.fields)]
    return tuple(notes)
