"""Carry out one call of ``analyze``: find the report, open the recordings, run, write, and say what the result rests on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analyzer.answer import Answer, ask
from analyzer.errors import AnalyzerError, Exit
from analyzer.output import open_output
from analyzer.recording import Recording, newest_recording, open_recordings
from analyzer.render import formats, load
from analyzer.report import Report, bundled_names, find
from analyzer.scope import EVERYTHING, Asked, narrow
from analyzer.sql_error import near, out_of_memory
from analyzer.text import printable
from analyzer.watch import watched
from analyzer.wording import said

if TYPE_CHECKING:
    from analyzer.sandbox import Sandbox

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
    require_complete: bool = False
    follow: bool = False
    asked: Asked = EVERYTHING


def run(request: Request) -> None:
    """Run a report over recordings: rows to stdout or the output file, notes and the coverage line to stderr.

    Raises AnalyzerError for whatever the user can mend.
    """
    check_format(request.format, request.output)
    timeout_s = seconds(request.timeout)
    report, paths = _report(request)
    found = [Path(path) for path in paths] or [newest()]
    try:
        if request.follow:
            from analyzer.follow import follow

            follow(request, report, found)
        else:
            _run(request, report, open_recordings(found), timeout_s)
    except MemoryError:
        raise out_of_memory(report.name) from None


def _run(request: Request, report: Report, recordings: list[Recording], timeout_s: float) -> None:
    from analyzer.confinement import confine
    from analyzer.sandbox import open_sandbox

    output = Path(request.output) if request.output is not None else None
    confine([recording.path for recording in recordings], [output])
    with open_sandbox(recordings, timeout_s) as sandbox:
        narrow(sandbox, request.asked)
        answer = write_answer(sandbox, report, request.parameters, request.format, output)
    check_complete(request, answer)


def check_complete(request: Request, answer: Answer) -> None:
    """Raise AnalyzerError, exit code 1, where the user asked for an answer without doubts and this is none."""
    if request.require_complete and not answer.is_complete:
        raise AnalyzerError(f"The answer to {answer.report.name} is not complete.", "Without --require-complete this is no error.", Exit.FAILED)


def write_answer(sandbox: Sandbox, report: Report, given: Sequence[str], form: str, output: Path | None) -> Answer:
    """Ask ``report`` with the parameters ``given``, write its rows to ``output`` or stdout, and say on stderr what the format does not tell."""
    answer, lines = answer_into(lambda: open_output(output), sandbox, report, given, form)
    for text in lines:
        print(text, file=sys.stderr)
    return answer


def answer_into(
    opened: Callable[[], AbstractContextManager[tuple[TextIO, int | None]]], sandbox: Sandbox, report: Report, given: Sequence[str], form: str
) -> tuple[Answer, list[str]]:
    """Ask ``report``, write its rows to what is ``opened``, with its width; return the answer and the lines that the format does not tell."""
    module = load(form)
    with watched(sandbox, report.name) as meter:
        answer = ask(sandbox, report, report.values(given), module.TRAITS.arrow)
        with opened() as (out, width):
            counted = answer.counted(meter, width is not None)
            module.write(counted.for_eyes() if module.TRAITS.for_eyes else counted, out, width)
    return answer, [] if module.TRAITS.tells_trust else said(answer)


def check_format(name: str, output: str | None) -> None:
    """Raise AnalyzerError if there is no format of that name, or if it is one for files and would come out on a terminal."""
    if name not in formats():
        raise AnalyzerError(f"There is no format {name}.", near(name, formats()) or f"Formats: {', '.join(formats())}.")
    if load(name).TRAITS.needs_file and output is None and sys.stdout.isatty():
        raise AnalyzerError(f"{name} is not for a terminal.", "--output FILE, or | COMMAND")


def json_format(json: bool, name: str) -> str:
    """Return the format that ``--json`` asks for, where a command has ``--format``, too; raise AnalyzerError where that asks for another one."""
    if json and name not in ("table", "json"):
        raise AnalyzerError(f"--json and --format {name} are two formats.", "Give one of them.")
    return "json" if json else name


def seconds(text: str) -> float:
    """Return the length of time that ``text`` is, in seconds; raise AnalyzerError where it is none."""
    try:
        length = float(text)
    except ValueError:
        length = -1
    if not 0 <= length <= _LONGEST_S:  # NaN neither
        raise AnalyzerError(f"--timeout {text}: that is no length of time.", "Seconds, up to a day's 86400; 0 for no limit.")
    return length


def _report(request: Request) -> tuple[Report, list[str]]:
    if request.sql is not None:
        return Report("--sql", request.sql), request.arguments
    if not request.arguments:
        raise AnalyzerError("Which report?", f"analyze REPORT [RECORDING]...; reports: {', '.join(bundled_names())}")
    return find(request.arguments[0]), request.arguments[1:]


def newest() -> Path:
    """Return the newest recording in this folder, and say on stderr which that is."""
    path = newest_recording(Path())
    print(f"recording: {printable(str(path))} (the newest in this folder)", file=sys.stderr)
    return path
