"""The analyzer's one error type, and the exit codes that its commands share with their users."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ``analyze`` and of the verbs of ``bpftape``."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNDECIDED = 3
    RECORDING = 65
    OUTPUT = 73
    IO = 74
    PERMISSION = 77
    INTERRUPTED = 130


class AnalyzerError(Exception):
    """Something that a user can cause or mend: what failed, what to do next, and the exit code.

    ``excerpt`` is shown under the message, e.g. the line of SQL with a caret below it.
    """

    def __init__(self, message: str, hint: str = "", code: Exit = Exit.USAGE, excerpt: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.excerpt = excerpt
