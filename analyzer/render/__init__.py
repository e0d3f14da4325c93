"""How answers are written: one module a format, each with ``TRAITS`` and ``write(answer, out, width)``. The folder is the list of formats."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, cast

if TYPE_CHECKING:
    from analyzer.answer import Answer


@dataclass(frozen=True, slots=True)
class Traits:
    """What a format is like: who it is for, and what it asks of those who call ``write``.

    ``doc`` says in a few words what it is. ``for_eyes``: columns that are only keys to join with are left out. ``tells_trust``: notes and coverage
    are in what is written, so that nobody else has to say them. ``needs_file``: it is not for a terminal. ``arrow``: it reads ``result.arrow``.
    ``streams``: memory does not grow with the number of rows.
    """

    doc: str
    for_eyes: bool = False
    tells_trust: bool = False
    needs_file: bool = False
    arrow: bool = False
    streams: bool = True


class Format(Protocol):
    """What each module of this package is."""

    TRAITS: Traits

    def write(self, answer: Answer, out: TextIO, width: int | None) -> int:
        """Write ``answer`` to ``out`` and return its number of rows.

        ``width`` is that of the terminal in columns; None when ``out`` is none, and data must be written as they are. A format of bytes writes
        to ``out.buffer``.
        """


def formats() -> list[str]:
    """Return the names of all formats."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def load(name: str) -> Format:
    """Return the module for the format called ``name``."""
    return cast("Format", import_module(f"analyzer.render.{name}"))
