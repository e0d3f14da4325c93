"""Show on a terminal how far a statement is, once it takes long enough to wonder."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from analyzer.progress import SHOWN_AFTER_S
from analyzer.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress

_TICK_S = 0.1


class Meter:
    """Counts rows while they are written, and shows their number, or before the first one how far DuckDB says it is, on stderr.

    Nothing is shown where stderr is no terminal, in the first second, and once rows go to a terminal: they show themselves.
    """

    def __init__(self, percent: Callable[[], float], title: str) -> None:
        self._percent = percent
        self._title = title
        self._rows = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True) if sys.stderr.isatty() else None

    def __enter__(self) -> Meter:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._end()

    def counted(self, batches: Iterator[Any], on_terminal: bool) -> Iterator[Any]:
        """Yield ``batches`` and count their rows; ``on_terminal``: that is where they go."""
        for batch in batches:
            if on_terminal:
                self._end()
            self._rows += len(batch)
            yield batch

    def _end(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        if self._ended.wait(SHOWN_AFTER_S):
            return
        with _bar(printable(self._title)) as shown:
            while not self._ended.wait(_TICK_S):
                percent = self._percent()
                is_known = percent >= 0 and not self._rows
                said = f"{self._rows:,} rows" if self._rows else f"{percent:.0f} %" if is_known else ""
                shown.update(shown.task_ids[0], completed=percent if is_known else 0, total=100 if is_known else None, said=said)


def _bar(title: str) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[said]}", markup=False), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task(title, total=None, said="")
    return progress
