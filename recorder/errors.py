"""The recorder's one error type, and the exit codes that both commands share with their users."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ``record``, a subset of those in the README."""

    OK = 0
    USAGE = 2
    BPF = 70
    OUTPUT = 73
    IO = 74
    PERMISSION = 77
    COMMAND_NOT_EXECUTABLE = 126
    COMMAND_NOT_FOUND = 127


class RecorderError(Exception):
    """Something that a user can cause or mend: what failed, what to do next, and the exit code."""

    def __init__(self, message: str, hint: str = "", code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
