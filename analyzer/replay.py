"""``bpftape replay``: the events of a recording as ``record --print`` showed them, in order, and in their own time.

Those of a merged one are on its time line, with the host of each.
"""

from __future__ import annotations

import heapq
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.cut import WHOLE
from analyzer.errors import AnalyzerError, Exit
from analyzer.lines import DETAILS, header, line, loss_line
from analyzer.merged import notes
from analyzer.output import open_output
from analyzer.recording import being_written, open_recordings
from analyzer.scope import EVERYTHING, Asked, narrow
from analyzer.sql_error import near
from analyzer.text import printable
from analyzer.values import json_text, to_json
from analyzer.watch import watched
from recorder.schema import NANOSECONDS

if TYPE_CHECKING:
    from analyzer.recording import Recording
    from analyzer.sandbox import Sandbox
    from analyzer.statement import Statement

# Rows are read in stretches of time that hold about so many events, so that memory does not grow with the recording.
_STRETCH_EVENTS = 20_000
_FOREVER_NS = 1 << 62
_WIDEST_HOST = 32
_NOBODY = "?"
_TITLE = "replay"
_MAX = "max"

_SECONDS = "SELECT ts_ns, CAST(sum(events) AS BIGINT) FROM coverage WHERE unwritten IS NULL GROUP BY ts_ns ORDER BY ts_ns"

_LOSSES = 'SELECT ts_ns, ts, "table", interval_ns, lost, host FROM coverage WHERE lost > 0 ORDER BY ts_ns, "table"'

Event = tuple[int, str, dict[str, Any]]
"""``ts_ns``, the table, the row."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed."""

    recording: Path
    speed: str = "1"
    tables: Sequence[str] = ()
    where: str | None = None
    as_json: bool = False
    asked: Asked = EVERYTHING


def replay(request: Request) -> None:
    """Print the events of a recording, each when its time comes; losses are lines, too. Raises AnalyzerError for whatever the user can mend."""
    from analyzer.sandbox import open_sandbox

    speed, tables = _speed(request.speed), _tables(request.tables)
    with open_sandbox(open_recordings([request.recording])) as sandbox, watched(sandbox, _TITLE):
        narrow(sandbox, request.asked)
        statements = _statements(sandbox, tables, request.where)
        for note in [*notes(sandbox.recordings), *being_written(sandbox.recordings)]:
            print(f"note: {printable(note)}", file=sys.stderr)
        width = _host_width(sandbox.recordings)
        with open_output(None) as (out, _):
            if not request.as_json:
                out.write(header(_host("HOST", width)) + "\n")
            _play(_events(sandbox, statements), speed, lambda table, row: out.write(_text(table, row, request.as_json, width) + "\n"), out.flush)


def _host_width(recordings: Sequence[Recording]) -> int:
    """Return how wide a column of hosts is; 0 where there is none, since nothing was merged."""
    names = [recording.place.part.host or _NOBODY for recording in recordings if recording.place]
    return min(max(map(len, [*names, "HOST"])), _WIDEST_HOST) if names else 0


def _host(name: str | None, width: int) -> str:
    return f"{name or _NOBODY:{width}} " if width else ""


def _speed(text: str) -> float | None:
    """Return how many times faster than it was, None for as fast as can be."""
    if text == _MAX:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise AnalyzerError(f"--speed {text}: that is no speed.", "1 is as it was, 10 ten times as fast, max as fast as can be.")
    return speed


def _tables(asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in DETAILS:
            raise AnalyzerError(f"--table {name}: there are no such events.", near(name, DETAILS) or f"Events: {', '.join(DETAILS)}.")
    return [name for name in DETAILS if name in asked or not asked]


def _statements(sandbox: Sandbox, tables: Sequence[str], where: str | None) -> dict[str, Statement]:
    """Return what to read of each table. A condition on columns that some tables do not have leaves these tables out, and says so."""
    if where is not None:
        sandbox.prepare(f"SELECT {where}", "--where")  # by itself, so that what is wrong with it is told in its own words
    statements: dict[str, Statement] = {}
    refused: dict[str, AnalyzerError] = {}
    for table in tables:
        also = f" AND (\n{where}\n)" if where is not None else ""
        statement = sandbox.prepare(f"SELECT * FROM {table} WHERE ts_ns >= $from_ns AND ts_ns < $to_ns{also} ORDER BY ts_ns", "--where")
        try:
            sandbox.execute(statement, "--where", {"from_ns": 0, "to_ns": 0})
            statements[table] = statement
        except AnalyzerError as error:
            if where is None or error.code is not Exit.USAGE:  # then it is no condition's fault
                raise
            refused[table] = error
    if not statements:
        raise next(iter(refused.values()))
    if refused:
        left = ", ".join(refused)
        print(f"left out, since --where has no sense there: {printable(left)}", file=sys.stderr)
    return statements


def _stretches(sandbox: Sandbox) -> Iterator[tuple[int, int]]:
    """Yield (from, to) in ns of the time line: all of the time that is asked about, which is the same of all parts, in stretches."""
    cut = sandbox.scope.cuts.get(sandbox.recordings[0].id, WHOLE)
    begin_ns, events = -_FOREVER_NS if cut.since_ns is None else cut.since_ns, 0
    for ts_ns, count in sandbox.rows(_SECONDS, ["coverage"]):
        if events + count > _STRETCH_EVENTS and events and ts_ns > begin_ns:
            yield begin_ns, ts_ns
            begin_ns, events = ts_ns, 0
        events += count
    yield begin_ns, _FOREVER_NS if cut.until_ns is None else cut.until_ns


def _events(sandbox: Sandbox, statements: dict[str, Statement]) -> Iterator[Event]:
    losses = [
        (row[0], "lost", dict(zip(("ts_ns", "ts", "table", "interval_ns", "lost", "host"), row, strict=True)))
        for row in sandbox.rows(_LOSSES, ["coverage"])
        if row[2] in statements
    ]
    for from_ns, to_ns in _stretches(sandbox):
        found = [list(_rows(sandbox, table, statement, from_ns, to_ns)) for table, statement in statements.items()]
        found.append([loss for loss in losses if from_ns <= loss[0] < to_ns])
        yield from heapq.merge(*found, key=itemgetter(0))


def _rows(sandbox: Sandbox, table: str, statement: Statement, from_ns: int, to_ns: int) -> Iterator[Event]:
    result = sandbox.execute(statement, "--where", {"from_ns": from_ns, "to_ns": to_ns})
    names = [field.name for field in result.fields]
    for batch in result.batches:
        for values in batch:
            row = dict(zip(names, values, strict=True))
            yield row["ts_ns"], table, row


def _play(events: Iterator[Event], speed: float | None, show: Callable[[str, dict[str, Any]], object], before_waiting: Callable[[], object]) -> None:
    began, first_ns = time.monotonic(), None
    for ts_ns, table, row in events:
        if speed is not None:
            first_ns = ts_ns if first_ns is None else first_ns
            wait_s = (ts_ns - first_ns) / NANOSECONDS / speed - (time.monotonic() - began)
            if wait_s > 0:
                before_waiting()
                time.sleep(wait_s)
        show(table, row)


def _text(table: str, row: dict[str, Any], as_json: bool, host_width: int = 0) -> str:
    if as_json:
        return json_text({"event": table} | {name: to_json(value) for name, value in row.items()})
    host = _host(row["host"], host_width)
    return loss_line(row, host) if table == "lost" else line(table, row, host)
