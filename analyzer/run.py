"""Carry out one call of ``analyze``: find the report, open the recordings, run, write, and say what the result rests on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError, Exit
from analyzer.output import open_output
from analyzer.recording import Recording, newest_recording, open_recordings
from analyzer.render import Result, formats, writer
from analyzer.report import Report, bundled_names, find
from analyzer.sql_error import near, out_of_memory, timed_out
from analyzer.text import printable
from analyzer.trust import assess, line

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

# DuckDB looks at its clock between blocks of rows. A function that takes for ever over one value is ended this much later.
_GRACE_S = 5.0
_LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed. ``arguments`` are a report and recordings, or only recordings when ``sql`` is given."""

    arguments: list[str]
    sql: str | None
    format: str
    output: str | None
    parameters: list[str]
    timeout: str


def run(request: Request) -> None:
    """Run a report over recordings: rows to stdout or the output file, the coverage line to stderr.

    Raises AnalyzerError for whatever the user can mend.
    """
    if request.format not in formats():
        hint = near(request.format, formats()) or f"Formats: {', '.join(formats())}."
        raise AnalyzerError(f"There is no format {request.format}.", hint)
    timeout_s = _seconds(request.timeout)
    report, paths = _report(request)
    recordings = open_recordings([Path(path) for path in paths] or [newest()])
    try:
        _run(request, report, recordings, timeout_s)
    except MemoryError:
        raise out_of_memory(report.name) from None


def _run(request: Request, report: Report, recordings: list[Recording], timeout_s: float) -> None:
    from analyzer.sandbox import limit_process, open_sandbox

    limit_process()
    values = report.values(request.parameters)
    with open_sandbox(recordings, timeout_s) as sandbox, _deadline(sandbox, report.name):
        statement = sandbox.prepare(report.sql, report.name)
        if missing := sorted(statement.parameters - set(values)):
            raise AnalyzerError(f"{report.name} needs a value for {', '.join(missing)}.", f"--param {missing[0]}=VALUE")
        values = {name: value for name, value in values.items() if name in statement.parameters}
        result = sandbox.execute(statement, report.name, values)
        with open_output(Path(request.output) if request.output is not None else None) as (out, width):
            if report.header and request.format == "table":
                result = _for_eyes(result, len(recordings))
            writer(request.format).write(result, out, width)
        if statement.tables:
            names = {recording.id: recording.name for recording in recordings}
            print(line(assess(sandbox, statement.tables, report.header.optional if report.header else ()), names), file=sys.stderr)
    for recording in recordings:
        if recording.torn:
            print(f"note: the last line of {printable(recording.name)}'s manifest is cut off; its segment is not used", file=sys.stderr)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_S:  # NaN neither
        raise AnalyzerError(f"--timeout {text}: that is no length of time.", "Seconds, up to a day's 86400; 0 for no limit.")
    return seconds


def _report(request: Request) -> tuple[Report, list[str]]:
    if request.sql is not None:
        return Report("--sql", request.sql, None), request.arguments
    if not request.arguments:
        raise AnalyzerError("Which report?", f"analyze REPORT [RECORDING]...; reports: {', '.join(bundled_names())}")
    return find(request.arguments[0]), request.arguments[1:]


def newest() -> Path:
    """Return the newest recording in this folder, and say on stderr which that is."""
    path = newest_recording(Path())
    print(f"recording: {printable(str(path))} (the newest in this folder)", file=sys.stderr)
    return path


def _for_eyes(result: Result, recordings: int) -> Result:
    """Leave out the columns at a bundled report's end that are only keys to join with: long numbers, and the same id in each row."""
    keys = {"start_ns"} | ({"recording_id"} if recordings == 1 else set())
    shown = [number for number, field in enumerate(result.fields) if field.name not in keys]
    batches = ([tuple(row[number] for number in shown) for row in batch] for batch in result.batches)
    return Result(tuple(result.fields[number] for number in shown), batches)


@contextlib.contextmanager
def _deadline(sandbox: Sandbox, title: str) -> Iterator[None]:
    """End the process when it is still here well after its time: DuckDB cannot interrupt itself inside of one long function call."""
    if not sandbox.timeout_s:
        yield
        return
    timer = threading.Timer(sandbox.timeout_s + _GRACE_S, _give_up, (sandbox, title))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a thread that still holds DuckDB's objects when Python ends makes them complain


def _give_up(sandbox: Sandbox, title: str) -> None:
    error = timed_out(title, sandbox.timeout_s)
    os.write(2, f"error: {printable(error.message)}\nhint: {error.hint}\n".encode())
    sandbox.remove_spilled()
    os._exit(Exit.USAGE)
