"""Answer a report again and again while its recording is written: the same SQL, over all segments that are closed by then."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.answer import Answer
from analyzer.errors import AnalyzerError, Exit
from analyzer.recording import open_recording, open_store, read_manifest
from analyzer.render import load
from analyzer.report import Report
from analyzer.run import Request, answer_into, check_complete, seconds, write_answer
from analyzer.scope import narrow
from analyzer.store import is_being_written, is_file
from recorder.schema import MANIFEST

if TYPE_CHECKING:
    from rich.live import Live

    from analyzer.sandbox import Sandbox

_POLL_S = 0.2

_ENDED = "SELECT count(*) > 0 FROM recording WHERE end_ns IS NOT NULL"


def follow(request: Request, report: Report, paths: list[Path]) -> None:
    """Write the answer of ``report`` whenever the recording, the only one of ``paths``, has grown, until it has ended, or until Ctrl-C.

    On a terminal each answer takes the place of the one before, in a file too; elsewhere an empty line stands between them. Raises AnalyzerError
    for whatever the user can mend, and where the recorder was killed.
    """
    from analyzer.confinement import confine

    if len(paths) > 1:
        raise AnalyzerError("--follow goes with one recording.", "analyze REPORT RECORDING --follow")
    (path,) = paths
    confine([path], [Path(request.output) if request.output is not None else None])
    merged = read_manifest(open_store(path)).merged  # says what is wrong with it, too
    if merged is not None or is_file(path):
        raise AnalyzerError(f"{path} is {'packed' if merged is None else 'merged'} and does not grow.", "Without --follow it is answered once.")
    if load(request.format).TRAITS.needs_file and request.output is None:
        raise AnalyzerError(f"Answers in {request.format} cannot follow each other in a pipe.", "--output FILE: it always has the last one.")
    ended, interrupted, answer = False, False, None
    with ExitStack() as stack:
        show = _OnTerminal(request, report, stack) if request.output is None and sys.stdout.isatty() else _Elsewhere(request, report)
        try:
            for writing in _versions(path):
                try:
                    ended, answer = _ask(request, path, show)
                except AnalyzerError as error:
                    # A file may be replaced between two looks at the folder, and the first segment is still to come at the very start.
                    if error.code != Exit.RECORDING or not writing:
                        raise
        except KeyboardInterrupt:
            interrupted = True
        except AnalyzerError as error:
            if error.code != Exit.INTERRUPTED:
                raise
            interrupted = True
    if not ended and not interrupted:
        raise AnalyzerError(f"The recorder of {path} was killed: this is what it had written.", f"sudo bpftape recover {path}", Exit.RECORDING)
    if answer:
        check_complete(request, answer)


def _versions(path: Path) -> Iterator[bool]:
    """Yield whenever the manifest has grown and come to rest, and once when nobody writes it any more: whether somebody still does."""
    shown = before = -1
    while True:
        writing = is_being_written(path)  # asked first: what was written before the end is then in what is read next
        size = (path / MANIFEST).stat().st_size
        if size != shown and (size == before or not writing):
            shown = size
            yield writing
        if not writing:
            return
        before = size
        time.sleep(_POLL_S)


def _ask(request: Request, path: Path, show: Callable[[Sandbox], Answer]) -> tuple[bool, Answer]:
    """Return whether the recording has ended, and its answer, which is shown."""
    from analyzer.sandbox import open_sandbox

    with open_sandbox([open_recording(path)], seconds(request.timeout)) as sandbox:
        ((ended,),) = sandbox.rows(_ENDED, ["recording"])
        narrow(sandbox, request.asked)
        return ended, show(sandbox)


@dataclass(slots=True)
class _Elsewhere:
    """Answers go into a file, where the last one stays, or into a pipe, one after the other."""

    request: Request
    report: Report
    shown: int = 0

    def __call__(self, sandbox: Sandbox) -> Answer:
        output = Path(self.request.output) if self.request.output is not None else None
        if self.shown and output is None:
            print()
        self.shown += 1
        return write_answer(sandbox, self.report, self.request.parameters, self.request.format, output)


@dataclass(slots=True)
class _OnTerminal:
    """Answers take each other's place; the last one is there whole when they have ended."""

    request: Request
    report: Report
    stack: ExitStack
    live: Live | None = None
    last: tuple[str, str] = field(default=("", ""))

    def __call__(self, sandbox: Sandbox) -> Answer:
        from rich.text import Text

        live = self.live or self._begin()
        out = io.StringIO()
        opened = nullcontext((out, live.console.width))
        answer, lines = answer_into(lambda: opened, sandbox, self.report, self.request.parameters, self.request.format)
        self.last = out.getvalue(), "".join(f"{text}\n" for text in lines)
        live.update(Text("".join(self.last), no_wrap=True, overflow="crop", end=""), refresh=True)
        return answer

    def _begin(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        self.stack.callback(self._end)
        self.live = self.stack.enter_context(Live(console=Console(), auto_refresh=False, transient=True, vertical_overflow="crop"))
        return self.live

    def _end(self) -> None:
        data, words = self.last
        sys.stdout.write(data)
        sys.stdout.flush()
        sys.stderr.write(words)
