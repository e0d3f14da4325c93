"""Carry out ``analyze --expect``: which arguments are expectations, what is printed, and with which status it ends."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.check import SHOWN_ROWS, Checked, check_all
from analyzer.errors import AnalyzerError, Exit
from analyzer.expectation import Outcome, find_expectations
from analyzer.grid import write_grid
from analyzer.output import open_output
from analyzer.recording import open_recordings
from analyzer.report import Report, bundled_checks
from analyzer.result import Result
from analyzer.run import newest, seconds
from analyzer.scope import EVERYTHING, Asked, narrow
from analyzer.text import printable
from analyzer.values import json_text, objects
from recorder.schema import MANIFEST, SUFFIX

_ZIP = ".zip"
"""No report is called so: what is, is packed."""
_FORMATS = ("table", "json")
_STATUS = {Outcome.ERROR: Exit.USAGE, Outcome.FAIL: Exit.FAILED, Outcome.UNKNOWN: Exit.UNDECIDED}


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed. ``arguments`` are expectations and recordings, in any order; ``strict``: a filter is a doubt, too."""

    arguments: list[str]
    format: str
    output: str | None
    parameters: list[str]
    timeout: str
    junit: str | None
    strict: bool
    asked: Asked = EVERYTHING


def expect(request: Request) -> Exit:
    """Hold recordings against expectations, print what came of each, and return the status: 0 all hold, 1 one does not, 3 one is unknown.

    2 where one is wrong itself. Raises AnalyzerError for whatever the user can mend.
    """
    if request.format not in _FORMATS:
        raise AnalyzerError(f"--expect has no format {request.format}.", f"Formats: {', '.join(_FORMATS)}; and --junit FILE")
    timeout_s = seconds(request.timeout)
    reports, paths = _sorted_out(request.arguments)
    recordings = open_recordings(paths or [newest()])
    from analyzer.confinement import confine
    from analyzer.sandbox import open_sandbox

    output, junit = (Path(path) if path is not None else None for path in (request.output, request.junit))
    confine([recording.path for recording in recordings], [output, junit])
    done: list[Checked] = []
    with open_sandbox(recordings, timeout_s) as sandbox, open_output(output) as (out, width):
        narrow(sandbox, request.asked)
        for checked in check_all(sandbox, reports, request.parameters, request.strict):
            done.append(checked)
            if request.format == "table":
                out.write(_text(checked, width))
                out.flush()
        out.write(_json(done) if request.format == "json" else _summary(done) + "\n")
    if junit is not None:
        from analyzer.junit import junit_xml

        with open_output(junit) as (out, _):
            out.write(junit_xml(done, [recording.name for recording in recordings]))
    outcomes = {checked.outcome for checked in done}
    return next((status for outcome, status in _STATUS.items() if outcome in outcomes), Exit.OK)


def _sorted_out(arguments: Sequence[str]) -> tuple[list[Report], list[Path]]:
    """Return the expectations and the recordings among ``arguments``."""
    paths = [Path(argument) for argument in arguments if _is_recording(argument)]
    reports = [report for argument in arguments if not _is_recording(argument) for report in find_expectations(argument)]
    if not reports:
        raise AnalyzerError("Which expectations?", f"analyze --expect FILE.sql... [RECORDING]...; bundled: {', '.join(bundled_checks())}")
    return reports, paths


def _is_recording(argument: str) -> bool:
    path = argument.rstrip("/")
    return path.endswith((SUFFIX, _ZIP)) or Path(path, MANIFEST).exists()


def _text(checked: Checked, width: int | None) -> str:
    name = printable(f"{checked.name}: {checked.title}" if checked.title else checked.name)
    lines = [f"{checked.outcome:<7}  {name}", printable(checked.why), *checked.excerpt.splitlines()]
    if checked.outcome in (Outcome.FAIL, Outcome.UNKNOWN) and checked.sample:
        lines += [f"  {line}" for line in sample_text(checked, width).splitlines()]
    if checked.outcome != Outcome.UNKNOWN:  # there the reason is the coverage
        lines += checked.lines
    return "\n         ".join(lines) + "\n"


def sample_text(checked: Checked, width: int | None) -> str:
    """Return the first rows that were found as a table, and how many more there are."""
    out = io.StringIO()
    write_grid(checked.fields, [list(checked.sample)], out, width and max(width - 11, 1))
    if checked.rows > SHOWN_ROWS:
        out.write(f"… and {checked.rows - SHOWN_ROWS:,} more\n")
    return out.getvalue()


def _summary(done: Sequence[Checked]) -> str:
    words = {Outcome.PASS: "passed", Outcome.FAIL: "failed", Outcome.UNKNOWN: "unknown", Outcome.ERROR: "wrong themselves"}
    counts = {outcome: sum(checked.outcome == outcome for checked in done) for outcome in Outcome}
    of = f" of {len(done)} expectations" if len(done) > 1 else ""
    return ", ".join(f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]) + of


def _json(done: Iterable[Checked]) -> str:
    found = [_object(checked) for checked in done]
    return '{"expectations": [\n' + ",\n".join(map(json_text, found)) + "\n]}\n"


def _object(checked: Checked) -> dict[str, Any]:
    return {
        "name": checked.name,
        "title": checked.title,
        "outcome": checked.outcome.value,
        "why": checked.why,
        "expected": str(checked.rule) if checked.rule else None,
        "rows": checked.rows,
        "sample": list(objects(Result(checked.fields, iter([list(checked.sample)])))),
        "notes": list(checked.lines),
        "seconds": round(checked.seconds, 3),
    }
