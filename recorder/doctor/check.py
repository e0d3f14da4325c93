"""One line of ``bpftape doctor``, and how a check that fails in an unforeseen way becomes such a line, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from recorder.errors import Exit


class Status(StrEnum):
    """How a check went. A note is worth knowing and asks for nothing."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, how it went, what was seen, and what to do about it.

    ``code`` is the exit code where it is missing: 70 or 77 for what recording cannot do without, 0 for the rest.
    """

    name: str
    status: Status
    text: str
    fix: str = ""
    code: Exit = Exit.OK


def not_checked(name: str, why: str) -> Check:
    """Return the line of a check that could not be made."""
    return Check(name, Status.NOTE, f"not checked: {why}")


def collect(name: str, checks: Callable[[], Iterable[Check]], code: Exit = Exit.OK) -> list[Check]:
    """Return what ``checks`` yields. Systems are odd in ways that nobody foresees: what it raises becomes a line, never an error.

    With a ``code`` the check is one that recording depends on, and a failure of it counts as missing.
    """
    found: list[Check] = []
    try:
        found.extend(checks())
    except Exception as error:
        reason = str(error) or type(error).__name__
        if code is not Exit.OK:
            found.append(Check(name, Status.MISSING, f"the check failed: {reason}", "this is a defect of bpftape: please report it", code))
        elif isinstance(error, PermissionError):
            found.append(not_checked(name, "needs root"))
        else:
            found.append(Check(name, Status.NOTE, f"not known: {reason}"))
    return found
