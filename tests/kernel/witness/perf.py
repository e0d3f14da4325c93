"""What ``perf record`` saw, as facts: the same tracepoints as the recorder's, through perf's own buffers and its own decoder.

It tells neither arguments nor how a process ended, nor what became of a connect but that it was established, nor who accepted.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.kernel.witness.facts import Accept, Clone, Close, Connect, End, Exec, Exit, Fact, Process, end

PERF = "/usr/bin/perf"
EVENTS = ("task:task_newtask", "sched:sched_process_exec", "sched:sched_process_exit", "sock:inet_sock_set_state")
COMMAND = (PERF, "record", "-q", "-a", "-m", "16M", *(word for event in EVENTS for word in ("-e", event)))
CLONE_THREAD = 0x10000
TCP = 6
ESTABLISHED, SYN_SENT, SYN_RECV, CLOSE, LISTEN = 1, 2, 3, 7, 10


Sample = tuple[int, str, int, dict[str, Any]]
"""Time, event, thread id and fields."""


def samples(path: Path) -> list[Sample]:
    """Return samples in the order of time, which perf keeps only nearly. Fail where it says that it has lost some."""
    assert _lost(path) == 0, "perf has lost samples: it is no witness of this run"
    words = [PERF, "script", "--force", "-i", str(path), "-s", str(Path(__file__).with_name("perf_decoder.py"))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as decoder:
        assert decoder.stdout
        found = [tuple(json.loads(line)) for line in decoder.stdout]
        _, errors = decoder.communicate()
    assert decoder.returncode == 0, errors
    return sorted(found, key=lambda sample: sample[0])


def _lost(path: Path) -> int:
    words = [PERF, "report", "--force", "--stats", "--stdio", "-i", str(path)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[2]) for line in told.splitlines() if line.split()[:1] in (["LOST"], ["LOST_SAMPLES"]))


@dataclass(slots=True)
class _Attempt:
    process: Process
    tid: int
    is_decided: bool = False


@dataclass
class _Watch:
    """The workload's tasks and sockets, as samples tell of them."""

    root: int
    tasks: dict[int, Process] = field(default_factory=dict)
    """Those alive, by thread id."""
    uses: dict[int, int] = field(default_factory=dict)
    attempts: dict[int, _Attempt] = field(default_factory=dict)
    """By address of the socket."""
    tried: set[tuple[End, End]] = field(default_factory=set)

    def newtask(self, tid: int, fields: Mapping[str, Any]) -> Iterator[Fact]:
        if process := self.tasks.get(tid):
            is_thread = fields["clone_flags"] & CLONE_THREAD
            child = process if is_thread else self._process(fields["pid"])
            self.tasks[fields["pid"]] = child
            yield Clone(process, tid, fields["pid"], None if is_thread else child, fields["clone_flags"])

    def _process(self, pid: int) -> Process:
        before = self.uses.get(pid, 0)
        self.uses[pid] = before + 1
        return Process(pid, before)

    def exec(self, tid: int, fields: Mapping[str, Any]) -> Iterator[Fact]:
        if tid == self.root and not self.uses:
            self.tasks[tid] = self._process(tid)
        if fields["old_pid"] != tid and fields["old_pid"] in self.tasks:  # by a thread, which has the leader's id now
            self.tasks[tid] = self.tasks.pop(fields["old_pid"])
        if process := self.tasks.get(tid):
            yield Exec(process, fields["filename"], None)

    def exit(self, tid: int, _: Mapping[str, Any]) -> Iterator[Fact]:
        process = self.tasks.pop(tid, None)
        if process and process not in self.tasks.values():
            yield Exit(process, None, None, None)

    def set_state(self, tid: int, fields: Mapping[str, Any]) -> Iterator[Fact]:
        old, new, sock = fields["oldstate"], fields["newstate"], fields["skaddr"]
        if fields["protocol"] != TCP or new not in (SYN_SENT, ESTABLISHED, CLOSE) or (old in (CLOSE, LISTEN) and new == CLOSE):
            return
        if new == SYN_SENT:
            self.attempts.pop(sock, None)
            if process := self.tasks.get(tid):
                self.attempts[sock] = _Attempt(process, tid)
            return
        ends = _end(fields, "s"), _end(fields, "d")
        attempt = self.attempts.get(sock)
        if attempt and attempt.is_decided and old == SYN_RECV:  # another socket is there by now; that the first one was closed was not shown
            del self.attempts[sock]
            attempt = None
        if attempt and not attempt.is_decided:
            attempt.is_decided = True
            self.tried.add(ends)
            yield Connect(attempt.process, attempt.tid, *ends, "connected" if new == ESTABLISHED else None, None)
        elif new == CLOSE:
            if attempt:
                yield Close(attempt.process, attempt.tid, "outbound", *ends)
            elif ends[::-1] in self.tried and old != SYN_RECV:
                yield Close(None, None, "inbound", *ends)
        if new == CLOSE:
            self.attempts.pop(sock, None)


def _end(fields: Mapping[str, Any], side: str) -> End:
    return end(bytes.fromhex(fields[f"{side}addr_v6"]) or bytes(16), fields[f"{side}port"])


def facts(path: Path, root: int) -> Iterator[Fact]:
    """Yield what samples tell of the process ``root``, from its first program on, and of all that came of it."""
    watch = _Watch(root)
    takes = dict(zip((event.replace(":", "__") for event in EVENTS), (watch.newtask, watch.exec, watch.exit, watch.set_state), strict=True))
    for _, event, tid, fields in samples(path):
        yield from takes[event](tid, fields)


def visible(fact: Fact) -> Fact | None:
    """Return what perf can tell of a fact; None where that is nothing."""
    if isinstance(fact, Accept):
        return None
    if isinstance(fact, Exec):
        return replace(fact, argv=None)
    if isinstance(fact, Exit):
        return Exit(fact.process, None, None, None)
    if isinstance(fact, Connect):
        return replace(fact, outcome="connected" if fact.outcome == "connected" else None, errno=None)
    if isinstance(fact, Close) and fact.direction == "inbound":
        return replace(fact, process=None, tid=None)
    return fact
