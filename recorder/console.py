"""What ``record`` says on standard error: the line that it has begun, the status while it runs, the summary."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from analyzer.text import printable
from recorder.errors import RecorderError
from recorder.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from recorder.result import Progress, Result


def say(text: str) -> None:
    """Write lines to standard error, with what is not plainly visible escaped; a reader that has gone is no reason to stop."""
    with suppress(OSError, ValueError):
        print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)


def fail(error: RecorderError) -> NoReturn:
    """Say what failed and what to do next, and exit with the error's code."""
    say(f"error: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")
    raise SystemExit(int(error.code))


def size(count: float) -> str:
    """Return ``count`` bytes in words."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def _status(progress: Progress, before: Progress | None, duration: float | None) -> str:
    total = sum(progress.events.values())
    span = progress.seconds - (before.seconds if before else 0)
    rate = (total - (sum(before.events.values()) if before else 0)) / span if span > 0 else 0
    elapsed = f"{progress.seconds:.0f}" + (f"/{duration:g}" if duration else "") + " s"
    lost = sum(progress.lost.values())
    tables = "  ".join(f"{table} {count:,}" for table, count in progress.events.items() if count)
    return f"{elapsed} · {rate:,.0f} events/s · lost {lost:,} · {size(progress.bytes)} · {tables}"


@contextmanager
def status_line(duration: float | None, wanted: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Show the state of the recording on one line of the terminal; give out what to call with it, or None when nobody looks."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    before: list[Progress] = []
    live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)

    def show(progress: Progress) -> None:
        text = _status(progress, before[0] if before else None, duration)
        style = "bold" if sum(progress.lost.values()) else ""
        with suppress(OSError):
            live.update(Text(text, style=style, overflow="ellipsis", no_wrap=True), refresh=True)
        before[:] = [progress]

    # A terminal that goes away is no reason to end a recording.
    with suppress(OSError):
        live.start()
    try:
        yield show
    finally:
        with suppress(OSError):
            live.stop()


def summarize(result: Result, dropped_lines: int) -> None:
    """Say how the recording ended: rows by table, losses, size, place, and what to type next."""
    tables = [name for name in TABLES if name in result.rows]
    width = max(len(name) for name in tables)
    say(f"recorded {result.seconds:.1f} s, ended by {result.end_reason}")
    for name in tables:
        lost = f"  lost {result.lost[name]:,}" if result.lost[name] else ""
        say(f"  {name:{width}}  {result.rows[name]:>12,} rows{lost}")
    total = sum(result.lost.values())
    say(f"lost: {total:,} events — see the coverage table" if total else "lost: nothing")
    for probe in result.failed_probes:
        say(f"not seen: {probe}")
    for rule, count in result.dropped.items():
        say(f"dropped on purpose: {count:,} packets by {rule}")
    if dropped_lines:
        say(f"{dropped_lines:,} events were recorded but not printed: the terminal was too slow")
    say(f"{size(result.bytes)} in {result.path}")
    say(f"next: analyze overview {shlex.quote(str(result.path))}")
