"""One run of the recorder: everything is made, attached, waited for, and taken down here, in this order."""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from recorder import clocks, giving_up
from recorder.attach import Attached, attach
from recorder.child import Child
from recorder.decode import Block
from recorder.drain import Cost, Covered, Drain, Rings, interval
from recorder.drops import Drops
from recorder.errors import Exit, RecorderError
from recorder.filters import Filters
from recorder.folder import RecordingFolder, write_error
from recorder.result import Progress, Result
from recorder.samples import Sampled, Samples
from recorder.schema import NANOSECONDS, SUFFIX, TABLES
from recorder.signals import Signals
from recorder.state import recording_row
from recorder.writer import Stream, Writer

# So many signals say that nobody wants to wait for the command any more.
_PATIENCE = 3
_LONG_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for."""

    output: Path
    tracers: tuple[str, ...]
    required: bool = False
    """The tracers were asked for by name: each of their probes must attach."""
    duration: float | None = None
    ring_mib: int = 16
    sockets: int = 131_072
    """Connections that are open or under way at once and whose process is known."""
    segment_seconds: float = 5.0
    force: bool = False
    argv: bool = True
    statistics: bool = True
    filters: Filters = field(default_factory=Filters)
    drops: Drops = field(default_factory=Drops)
    command: tuple[str, ...] = ()
    gives_up: bool = False
    """This process is the recorder's own, and gives up the privileges that it needs no longer."""


def default_output() -> Path:
    """Return the name of a recording that begins now, in the current folder."""
    host = "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname()) or "host"
    return Path(f"{host}_{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{SUFFIX}")


class Session:
    """A recording under way. Use :func:`recording`."""

    def __init__(self, options: Options, signals: Signals, on_block: Callable[[Stream, Block], None] | None) -> None:
        self.options = options
        self.command_status: int | None = None
        self._signals = signals
        self._forwarded = 0
        self._result: Result | None = None
        self._child: Child | None = None
        self._folder = RecordingFolder(options.output, options.force)
        self._clock = clocks.snapshot()
        self.attached: Attached | None = None
        try:
            self._writer = Writer(self._folder, options.segment_seconds, signals.wake, on_block)
            self.attached = attach(options, self._clock.offset_ns, lambda tables: Rings(tables, self._writer).empty())
            if options.command:
                self._child = Child(options.command, signals.ignored)
                for number in signals.came:  # while there was no child
                    self._child.send(number)
                self._forwarded = len(signals.came)
                if self.attached.follow:
                    self.attached.follow(self._child.pid)
            cost = Cost(self.attached.run_statistics, lambda: self._folder.bytes)
            self._drain = Drain(self.attached.tables, self._writer, cost, self._clock.offset_ns)
            window = options.drops.after, options.drops.length
            self._samples = Samples(self.attached.droppers, window, self._clock.offset_ns, self.attached.probes, self._folder.rows.__getitem__)
            self._samples.attach_first()  # last of all: who asked for it is told before that everything else works
            if options.gives_up:
                self._give_up()
            self._start_ns = clocks.boottime_ns()
            self._write_state(None, None, clean=False)
            self._writer.put_rows("clock", [asdict(self._clock)])
        except OSError as error:
            self._undo()
            raise write_error(self._folder.path, error) from error
        except BaseException:
            self._undo()
            raise

    def _give_up(self) -> None:
        """Give up the privileges that only attaching takes. The command was made before, and keeps all."""
        assert self.attached is not None
        # What is decoded with a look at other users' processes is decoded now: the processes and containers that were there before.
        Rings(self.attached.tables, self._writer).empty()
        kept = {*giving_up.needed(self.attached.try_the_rest), *self._folder.needs()}
        if "container" in self.options.tracers:  # whose names are in files that only root can read
            kept.add("CAP_DAC_READ_SEARCH")
        if self._child:  # which may become another user's, and still gets signals
            kept.add("CAP_KILL")
        if self._samples.waits:
            kept.add("CAP_NET_ADMIN")
        giving_up.give_up(kept, self._folder.places())

    def _undo(self) -> None:
        """Leave nothing of a recording that never began."""
        if self.attached:
            self.attached.close()
        if self._child:
            self._child.abandon()
        self._folder.close()
        self._folder.discard()

    def begin(self) -> None:
        """Start the threads, then the command. Raise RecorderError (exit 126 or 127), and leave nothing, when it cannot be executed."""
        self._writer.start()
        self._drain.begin(self._start_ns)
        self._samples.begin(self._start_ns, self._writer.put_rows, self._on_drops)
        if self._child:
            try:
                self._child.release()
            except RecorderError:
                self.end("the command could not be executed")
                self._folder.discard()
                raise
        self._folder.keep()

    def _on_drops(self) -> None:
        """Write down that dropping began or ended, and look whether it failed."""
        assert self.attached is not None
        self._writer.put_rows("probe", [probe.copy() for probe in self.attached.probes])
        self._signals.wake()

    @property
    def _tables(self) -> list[Covered | Sampled]:
        assert self.attached is not None
        return [*self.attached.tables, *self._samples.tables]

    def _write_state(self, end_ns: int | None, reason: str | None, clean: bool) -> None:
        """Write the tables that say what this recording is, and how its probes did."""
        assert self.attached is not None
        probes = [probe | {"detached_ns": probe.get("detached_ns") or end_ns if probe["attached_ns"] else None} for probe in self.attached.probes]
        self._folder.write_rows(TABLES["probe"], probes)
        row = recording_row(self.options, self._clock.offset_ns, self._start_ns, end_ns, reason, clean)
        self._folder.write_rows(TABLES["recording"], [row])

    @property
    def notes(self) -> list[str]:
        """What attaching changed on the host."""
        return [*self.attached.notes, *self._samples.notes] if self.attached else []

    def progress(self) -> Progress:
        """Return where the recording stands: records moved so far, losses as of the last second."""
        tables = self._tables
        return Progress(
            (clocks.boottime_ns() - self._start_ns) / NANOSECONDS,
            {table.name: table.moved for table in tables},
            {table.name: table.lost for table in tables},
            self._folder.bytes,
        )

    def wait(self, tick: Callable[[Progress], None] | None = None) -> str:
        """Wait until the recording shall end; return why. ``tick`` is called twice a second meanwhile."""
        deadline = time.monotonic() + (self.options.duration or math.inf)
        while True:
            if failure := self._writer.failure or self._samples.failure:
                return failure.message
            if dead := self._dead():
                return dead
            came = self._signals.came
            if came and (not self._child or len(came) > 1):
                return came[-1].name
            self._forward()  # the command gets the first one, and ends the recording by ending
            left = deadline - time.monotonic()
            if left <= 0:
                return "duration"
            if self._await_something(min(left, 0.5)):
                assert self._child is not None
                self.command_status = self._child.wait()
                return "command"
            if tick:
                tick(self.progress())

    def _dead(self) -> str | None:
        """Return what is wrong with the threads, if one of them has ended before its time."""
        if self._drain.error:
            return f"emptying the rings failed: {self._drain.error!r}"
        if self._samples.error:
            return f"sampling what was dropped failed: {self._samples.error!r}"
        return None if self._drain.is_alive() and self._writer.is_alive() else "a thread of the recorder ended"

    def _await_something(self, seconds: float) -> bool:
        """Wait for a signal or the command's end, at most so long; return whether the command has ended."""
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        if self._child:
            poll.register(self._child.pidfd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(seconds * 1_000)}
        self._signals.clear()
        return self._child is not None and self._child.pidfd in ready

    def _forward(self) -> None:
        """Hand the command the signals that came and that it did not get by itself."""
        while self._child and self._forwarded < len(self._signals.came):
            number = self._signals.came[self._forwarded]
            if not self._child.hears_terminal(number):
                self._child.send(number)
            self._forwarded += 1

    def end(self, reason: str, failure: RecorderError | None = None) -> Result:
        """Detach everything, write all there is, and say how it went. ``failure`` is what ended the recording, if anything did."""
        if self._result is None:
            assert self.attached is not None
            try:
                self._result = self._end(self.attached, reason, failure)
            finally:
                self.attached.close()
                self._folder.close()
        return self._result

    def _end(self, attached: Attached, reason: str, failure: RecorderError | None) -> Result:
        self._drain.begin_last_interval()
        end_ns = clocks.boottime_ns()
        self._samples.detach()
        attached.detach()
        dead = self._dead()
        self._samples.finish(end_ns)
        self._drain.finish(end_ns)
        self._writer.finish()
        attached.note_unfollowed()
        failure = failure or self._writer.failure or self._samples.failure
        if dead and not failure:
            failure = RecorderError(dead, "this is a defect of bpftape: please report it", Exit.IO)
        for action in (
            partial(self._write_unwritten, end_ns),
            partial(self._write_state, end_ns, failure.message if failure else reason, failure is None),
        ):
            try:
                action()
            except OSError as error:
                failure = failure or RecorderError(f"{self._folder.path}: {error.strerror}", "what was closed before stays readable", Exit.IO)
        return Result(
            path=self._folder.path,
            seconds=(end_ns - self._start_ns) / NANOSECONDS,
            rows={table.name: table.rows for table in self._tables},
            lost={table.name: table.lost + table.events - table.rows for table in self._tables},
            bytes=self._folder.bytes,
            end_reason=failure.message if failure else reason,
            failed_probes=[
                f"{probe['tracer']} {probe['hook']}: {probe['reason']}" for probe in attached.probes if probe["reason"] and not probe.get("mode")
            ],
            dropped=self._samples.dropped,
            failure=failure,
            command_status=self.command_status,
        )

    def _write_unwritten(self, end_ns: int) -> None:
        """Write down as lost what came out of a ring, or was put into one, and is in no segment."""
        whole = interval(self._start_ns, end_ns, self._clock.offset_ns)
        missing = [(table, table.events - table.rows) for table in self._tables]
        if rows := [table.row(whole, 0, count) | {"unwritten": count} for table, count in missing if count]:
            self._folder.write_rows(TABLES["coverage"], rows)

    def await_command(self) -> None:
        """Wait for the command where the recording ended before it, handing signals on; at the third one leave it to itself."""
        while self._child and self.command_status is None and len(self._signals.came) < _PATIENCE:
            self._forward()
            if self._await_something(_LONG_SECONDS):
                self.command_status = self._child.wait()


@contextmanager
def recording(options: Options, on_block: Callable[[Stream, Block], None] | None = None) -> Iterator[Session]:
    """Attach everything and give out the running session; whatever happens inside, its probes are detached and its threads ended."""
    signals = Signals()
    with signals.installed():
        session = Session(options, signals, on_block)
        try:
            session.begin()
            yield session
        except BaseException as error:
            session.end("an error", RecorderError(f"an error in the recorder: {error!r}", code=Exit.IO))
            raise
