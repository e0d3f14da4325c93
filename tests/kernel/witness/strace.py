"""What ``strace -f`` saw, as facts: from the arguments and results of system calls, and from what wait(2) told it of ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.kernel.witness.facts import Accept, Clone, Close, Connect, Exec, Exit, Fact, Process
from tests.kernel.witness.strace_log import Call, Life, Log, plain
from tests.kernel.witness.strace_sockets import Sockets

MAKING = ("clone", "clone3", "fork", "vfork")
CSIGNAL = 0xFF
CLONE_THREAD = 0x10000
VFORK = 0x4100  # CLONE_VFORK | CLONE_VM
AT_EMPTY_PATH = 0x1000

_FLAGS = re.compile(r"flags=([x0-9a-f|]+)")
_EXEC = re.compile(r'(?:(?P<fd>-?\d+)(?:<[^>]*>)?, )?"(?P<filename>[^"]*)", \[(?P<argv>.*)\], 0x\w+ /\* \d+ vars? \*/(?:, (?P<flags>\w+))?\s*')


@dataclass(frozen=True, slots=True)
class Made:
    """A task that a system call has made."""

    parent: Life
    call: str
    child_tid: int
    flags: int


def made(log: Log) -> list[Made]:
    """Return the tasks that were made, in the order in which that was said."""
    return [_made(call) for call in log.calls if call.name in MAKING and call.result > 0]


def _made(call: Call) -> Made:
    flags = {"fork": 0, "vfork": VFORK}.get(call.name, -1)
    if flags < 0:
        match = _FLAGS.search(call.arguments)
        assert match, call
        flags = sum(int(word, 0) for word in match[1].split("|")) & ~(CSIGNAL if call.name == "clone" else 0)
    return Made(call.life, call.name, call.result, flags)


def by_descriptor(fd: int) -> str:
    """Return the file name of a program that was started by its descriptor."""
    return f"descriptor {fd}"


def facts(log: Log) -> Iterator[Fact]:
    """Yield what a log tells of the first process in it and of all that came of that."""
    born: dict[int, Iterator[Life]] = {tid: iter(lives) for tid, lives in log.lives.items()}
    next(born[next(iter(born))])  # the first one, which nobody here has made
    origins = {next(born[origin.child_tid]): origin for origin in made(log)}  # an id's uses are in one order in both
    processes = _processes(log, origins)
    for life, origin in origins.items():
        child = None if origin.flags & CLONE_THREAD else processes[life]
        yield Clone(processes[origin.parent], origin.parent.tid, origin.child_tid, child, origin.flags)
    for life, process in processes.items():
        if life.tid == process.pid:
            assert life.end, f"strace did not see the end of {process}"
            yield Exit(process, *life.end)
    yield from (_exec(processes[call.life], call) for call in log.calls if call.name in ("execve", "execveat") and call.result == 0)
    yield from _connections(Sockets.of(log), processes)


def _processes(log: Log, origins: Mapping[Life, Made]) -> dict[Life, Process]:
    """Return the process of each task."""
    processes: dict[Life, Process] = {}
    for tid, lives in log.lives.items():
        leaders = [life for life in lives if life not in origins or not origins[life].flags & CLONE_THREAD]
        processes |= {life: Process(tid, before) for before, life in enumerate(leaders)}

    def process(life: Life) -> Process:
        if life not in processes:
            processes[life] = process(origins[life].parent)
        return processes[life]

    for life in origins:
        process(life)
    return processes


def _exec(process: Process, call: Call) -> Exec:
    match = _EXEC.fullmatch(call.arguments)
    assert match, call
    filename = plain(match["filename"])
    if match["flags"] and int(match["flags"], 0) & AT_EMPTY_PATH and not filename:
        filename = by_descriptor(int(match["fd"]))
    return Exec(process, filename, tuple(plain(word.strip('"')) for word in match["argv"].split(", ")))


def _connections(sockets: Sockets, processes: Mapping[Life, Process]) -> Iterator[Fact]:
    """Yield attempts and accepts, and for each connection of either kind its end: all have ended when the workload has."""
    for attempt in sockets.attempts:
        who = processes[attempt.life], attempt.life.tid
        yield Connect(*who, attempt.local, attempt.peer, attempt.outcome, attempt.errno)
        if attempt.outcome == "connected":
            assert attempt.local, f"nobody has asked for the local end of {attempt}"
            yield Close(*who, "outbound", attempt.local, attempt.peer)
    for taken in sockets.taken.values():
        who = processes[taken.life], taken.life.tid
        assert taken.local, f"nobody has asked for the local end of {taken}"
        yield Accept(*who, taken.local, taken.peer)
        yield Close(*who, "inbound", taken.local, taken.peer)
