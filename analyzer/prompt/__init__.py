"""The prompt of ``bpftape sql``: read statements and commands, answer each, and go on whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from analyzer.cli import print_error
from analyzer.confinement import confine
from analyzer.errors import AnalyzerError, Exit
from analyzer.interrupt import interruptible, terminated
from analyzer.prompt.commands import Quit, command
from analyzer.prompt.split import split
from analyzer.recording import open_recordings
from analyzer.report import Report
from analyzer.run import write_answer
from analyzer.sandbox import Sandbox, open_sandbox
from analyzer.scope import Asked, narrow
from analyzer.sql_error import out_of_memory


@dataclass(slots=True)
class Prompt:
    """What is asked, one entry after the other, over one sandbox. At a terminal Ctrl-C stops a statement, elsewhere everything."""

    sandbox: Sandbox
    format: str
    at_terminal: bool

    def run(self, entries: Iterator[str]) -> int:
        """Answer all ``entries`` and return the exit code, that of the first error. Only their end, ``.quit`` and a bug end it."""
        status = Exit.OK
        for entry in entries:
            try:
                with interruptible(self.sandbox, "sql"):
                    self._answer(entry)
            except Quit:
                break
            except AnalyzerError as error:
                if error.code == Exit.INTERRUPTED and not self.at_terminal:
                    raise
                print_error(error)
                status = status or error.code
        return int(status)

    def _answer(self, entry: str) -> None:
        if entry.startswith("."):
            command(self, entry)
        else:
            self.ask(Report("sql", entry), [])

    def ask(self, report: Report, given: list[str]) -> None:
        """Write the answer of ``report``, with the parameters ``given`` as NAME=VALUE, and what it rests on."""
        try:
            write_answer(self.sandbox, report, given, self.format, None)
        except MemoryError:
            raise out_of_memory(report.name) from None


def ask_all(paths: list[Path], form: str, timeout_s: float, asked: Asked) -> int:
    """Answer what comes on stdin over the recordings at ``paths``; return the exit code. At a terminal that is always 0: errors were seen."""
    with terminated():  # a terminal that is closed, too
        return _ask_all(paths, form, timeout_s, asked)


def _ask_all(paths: list[Path], form: str, timeout_s: float, asked: Asked) -> int:
    at_terminal = sys.stdin.isatty()
    recordings = open_recordings(paths)
    # .run takes a report of the user's own, too: from here or below.
    confine([*(recording.path for recording in recordings), Path.cwd()], _kept() if at_terminal else ())
    with open_sandbox(recordings, timeout_s) as sandbox:
        narrow(sandbox, asked)
        prompt = Prompt(sandbox, form, at_terminal)
        if not at_terminal:
            if isinstance(sys.stdin, TextIOWrapper):
                sys.stdin.reconfigure(errors="surrogateescape")
            with interruptible(sandbox, "sql"):
                return prompt.run(piped(iter(sys.stdin)))
        from analyzer.prompt.terminal import typed

        print("A statement ends with a semicolon. Commands: .help; to leave: Ctrl-D.", file=sys.stderr)
        prompt.run(typed(sandbox))
        return Exit.OK


def _kept() -> list[Path]:
    """Return what is written at a terminal: the history. Its folder must be there before it is named to the kernel."""
    from analyzer.prompt.terminal import history_file

    with suppress(OSError):  # which history() tells
        history_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [history_file()]


def piped(lines: Iterator[str]) -> Iterator[str]:
    """Yield the statements and commands of a text that comes in ``lines``; the last statement needs no semicolon."""
    rest = ""
    for line in lines:
        entries, rest = split(rest + line)
        yield from entries
    if rest:
        yield rest
