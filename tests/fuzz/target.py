"""What a fuzz target is: a parser, the errors that it may end with, and inputs to begin with. Modules of ``targets/`` are found by their place."""

from __future__ import annotations

import importlib
import pkgutil
import random
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import AnalyzerError
from analyzer.text import printable
from recorder.errors import RecorderError

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
"""What is kept of inputs, a folder a target: those that once crashed it (``crash-…``), and those that fuzzing found worth keeping."""

LONGEST_S = 10
"""An input that takes longer is one that hangs."""

_scratch: list[tempfile.TemporaryDirectory[str]] = []

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. ``run`` takes an input and raises nothing, or a typed error: whatever else comes of it is a crash.

    ``seeds`` makes inputs that are as they should be, ``words`` are pieces that such inputs have. Where changing bytes gets nowhere, ``mutate``
    changes an input by what it means. ``examples`` is how many inputs ``make test`` tries.
    """

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    mutate: Mutate | None = None
    examples: int = 120
    longest: int = 4_096


def scratch() -> Path:
    """Return a folder for a target's files, gone at the end."""
    _scratch.append(tempfile.TemporaryDirectory(prefix="bpftape-fuzz-"))
    return Path(_scratch[-1].name)


def names() -> list[str]:
    """Return the names of all targets."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER / "targets")]))


def load(name: str) -> Target:
    """Return the target of that name."""
    target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    assert isinstance(target, Target)
    return target


def kept(name: str) -> list[Path]:
    """Return the files of a target's corpus."""
    return sorted((CORPUS / name).glob("*"))


def attempt(target: Target, data: bytes) -> None:
    """Run one input. A typed error is an answer, as long as it can be shown to people; whatever else is raised is let through."""
    try:
        target.run(data)
    except (AnalyzerError, RecorderError) as error:
        failed = error
    else:
        return
    assert failed.message, "an error without a word"
    for text in (failed.message, failed.hint):
        printable(text).encode()
    if isinstance(failed, AnalyzerError):
        assert all(line.isprintable() for line in failed.excerpt.split("\n"))
