"""The recorder as its users have it: a command that is started, says that it records, is signalled, and leaves a folder.

Nothing here shares code with the recorder or the analyzer: what a recording holds is read by its manifest and with pyarrow.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support import Cli

RECORD = str(Cli().path("record"))
PROGRAMS = Path(__file__).parent / "programs"

# Nothing is timed: this is how long a test waits for what must come before it says that it did not. An emulated machine needs more.
PATIENCE_SECONDS = float(os.environ.get("BPFTAPE_TEST_PATIENCE_SECONDS", "90"))

Row = dict[str, Any]


def program(name: str, *arguments: object) -> list[str]:
    """Return the command line of one of the programs in tests/kernel/programs/."""
    return [sys.executable, "-IS", str(PROGRAMS / f"{name}.py"), *map(str, arguments)]


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME, which the kernel's start times are in."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def eventually(what: str, condition: Callable[[], Any]) -> Any:
    """Look until ``condition()`` is true and return its value; fail with ``what`` where that does not happen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen in {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.01)
    return value


class Lines(threading.Thread):
    """Reads a stream to its end, so that its writer is never held up; lets a test wait for a piece of text."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._condition = threading.Condition()
        self._data = bytearray()
        self._ended = False
        self.start()

    def run(self) -> None:
        while True:
            try:
                data = os.read(self._stream.fileno(), 65_536)
            except OSError:  # a terminal whose other end was closed
                data = b""
            with self._condition:
                self._data += data
                self._ended = not data
                self._condition.notify_all()
            if not data:
                return

    def wait_for(self, pattern: str) -> str:
        """Wait until something that ``pattern`` matches (^ is a line's begin) was written; return all that was written so far."""
        wanted = re.compile(pattern.encode(), re.MULTILINE)
        with self._condition:
            self._condition.wait_for(lambda: wanted.search(self._data) or self._ended, PATIENCE_SECONDS)
            assert wanted.search(self._data), f"{pattern!r} was not written, but: {self._data.decode(errors='replace')}"
            return self._data.decode(errors="replace")

    def everything(self) -> bytes:
        """Wait for the stream's end and return all of it."""
        self.join(PATIENCE_SECONDS)
        assert self._ended, "the stream did not end"
        return bytes(self._data)


@dataclass(frozen=True)
class Recording:
    """A recording's folder, read by its manifest."""

    path: Path

    def manifest(self) -> list[Row]:
        """Return the manifest's lines, the header not among them."""
        header, *lines = [json.loads(line) for line in (self.path / "manifest.jsonl").read_text().splitlines()]
        assert header["bpftape_format"] == 1
        return lines

    def segments(self) -> list[Row]:
        """Return the lines of those segments that no later one replaces."""
        lines = self.manifest()
        replaced = {path for line in lines for path in line.get("replaces", ())}
        return [line for line in lines if line["path"] not in replaced]

    def table(self, name: str) -> list[Row]:
        """Return the rows of a table."""
        lines = self.segments()
        try:
            found = [pq.read_table(self.path / line["path"]) for line in lines if line["table"] == name]
        except FileNotFoundError:
            if self.segments() == lines:
                raise
            return self.table(name)  # a recorder under way has replaced it meanwhile
        rows: list[Row] = pa.concat_tables(found).to_pylist() if found else []
        return rows

    def rows(self, table: str, /, **wanted: Any) -> list[Row]:
        """Return the rows of a table in which each column named has the value given, or one of the set given."""
        return [
            row
            for row in self.table(table)
            if all(row[name] in value if isinstance(value, (set, frozenset)) else row[name] == value for name, value in wanted.items())
        ]

    def lost(self, table: str) -> int:
        """Return how many events of a table are written down as lost."""
        return sum(row["lost"] for row in self.rows("coverage", table=table))

    def about(self) -> Row:
        """Return the one row of the table ``recording``."""
        (row,) = self.table("recording")
        return row

    def assert_consistent(self) -> None:
        """Hold every file of the manifest against what the manifest says of it."""
        lines = self.segments()
        assert lines
        for line in lines:
            data = (self.path / line["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (line["bytes"], line["sha256"]), line["path"]
            assert pq.read_metadata(self.path / line["path"]).num_rows == line["rows"], line["path"]


@dataclass
class Running:
    """A recorder under way."""

    process: subprocess.Popen[bytes]
    path: Path
    errors: Lines
    output: Lines

    @property
    def pid(self) -> int:
        return self.process.pid

    def await_end(self) -> int:
        """Wait for the recorder's end; return its exit code."""
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self, number: int = signal.SIGINT) -> Recording:
        """End the recording by a signal, as Ctrl-C does, and return it."""
        self.process.send_signal(number)
        assert self.await_end() == 0, self.said()
        return Recording(self.path)

    def said(self) -> str:
        """Return what an ended recorder wrote on standard error."""
        return self.errors.everything().decode()


@contextmanager
def launched(
    path: Path,
    *options: object,
    command: Sequence[str] = (),
    wrapper: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[Running]:
    """Start ``record`` behind the words of ``wrapper``, writing to ``path``; kill it if it is still there in the end."""
    words = [*wrapper, RECORD, "--output", str(path), *map(str, options), *(["--", *command] if command else [])]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **(env or {})}
    with subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, process_group=0) as process:
        assert process.stdout
        assert process.stderr
        running = Running(process, path, Lines(process.stderr), Lines(process.stdout))
        try:
            yield running
        finally:
            if process.poll() is None:  # with its command, which would hold the pipes open
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for lines in (running.errors, running.output):
                lines.join(PATIENCE_SECONDS)


@contextmanager
def recorder(path: Path, *options: object, **settings: Any) -> Iterator[Running]:
    """Do the same, and go on when every probe is attached."""
    with launched(path, *options, **settings) as running:
        running.errors.wait_for("^recording ")
        yield running


def run_record(
    *options: object, wrapper: Sequence[str] = (), env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``record`` to its end."""
    return subprocess.run(
        [*wrapper, RECORD, *map(str, options)],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120", **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that was started and waited for, as its parent saw it."""

    pid: int
    argv: list[str]
    status: int
    """As wait(2) gives it."""
    output: str
    before_ns: int
    after_ns: int


def run_program(argv: Sequence[str]) -> Ended:
    """Start a program, read what it writes, wait for its end."""
    read, write = os.pipe()
    before_ns = boottime_ns()
    pid = os.posix_spawn(argv[0], list(argv), os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    with os.fdopen(read) as output:
        text = output.read()
    status = os.waitpid(pid, 0)[1]
    return Ended(pid, list(argv), status, text, before_ns, boottime_ns())


class Spawner:
    """A process that starts others when it is told to: tests/kernel/programs/spawner.py."""

    def __init__(self, *, name: str = "", wrapper: Sequence[str] = ()) -> None:
        words = [*wrapper, *program("spawner", *([name] if name else []))]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the spawner has ended"
        return json.loads(line)

    def spawn(self, count: int, *command: str) -> list[int]:
        """Have it run ``command`` ``count`` times, one after the other; return the process ids when all have ended."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([count, command]) + "\n")
        self.process.stdin.flush()
        pids: list[int] = self._answer()
        assert len(pids) == count
        return pids

    def __enter__(self) -> Spawner:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def cgroup_mounts() -> dict[str, Path]:
    """Return where the file systems of cgroup v2 ("cgroup2") and of v1's memory controller ("memory") are mounted."""
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = (part.split() for part in line.split(" - "))
        if after[0] == "cgroup2":
            mounts["cgroup2"] = Path(before[4])
        elif after[0] == "cgroup" and "memory" in after[2].split(","):
            mounts["memory"] = Path(before[4])
    return mounts


@cache
def kernel_knows(name: str) -> bool:
    """Say whether the running kernel's description of its own types (BTF) has a name: what tells a feature from a version."""
    try:
        return f"\0{name}\0".encode() in Path("/sys/kernel/btf/vmlinux").read_bytes()
    except FileNotFoundError:
        return False


GIVES_WAY = kernel_knows("class_srcu_fast_notrace_t")
"""Whether a task may have to give way in the middle of a program (Linux 7.0), which the kernel then leaves out for others on that CPU."""


@cache
def true_path() -> str:
    """Return the path of a program that ends at once with 0."""
    return os.path.realpath("/bin/true")
