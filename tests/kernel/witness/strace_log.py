r"""Logs of ``strace -f``: which task lived when, and which system calls it made.

With ``-X raw -xx -y`` numbers are numbers, strings are ``\x..``, and a socket is known by its inode, whoever holds it under whatever descriptor.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

TRACED = "clone,clone3,fork,vfork,execve,execveat,socket,bind,connect,accept,accept4,getsockname,getpeername,getsockopt"
COMMAND = ("/usr/bin/strace", "-f", "-q", "-y", "-xx", "-X", "raw", "-s", "65536", "--seccomp-bpf", "-e", "signal=!SIGCHLD", "-e", f"trace={TRACED}")

_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)(?:<(?P<file>[^>]*)>)?(?: (?P<error>E[A-Z0-9]+) .*)?")
_NOTHING = re.compile(r".*\)\s+= \?(?: ERESTART.*)?")  # the task has ended in the call, or makes it again
_EXITED = re.compile(r"\+\+\+ exited with (\d+) \+\+\+")
_KILLED = re.compile(r"\+\+\+ killed by (\w+)( \(core dumped\))? \+\+\+")
_SUPERSEDED = re.compile(r"\+\+\+ superseded by execve in pid (\d+) \+\+\+")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_BEGUN = re.compile(r"(.*)<(?:unfinished|pid changed to \d+) \.\.\.>")


@dataclass(slots=True, eq=False)
class Life:
    """A task, from its first line to its end."""

    tid: int
    end: tuple[int | None, int | None, bool] | None = None
    """Exit code, signal, whether there is a core dump; None where another thread's exec ended it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that has returned."""

    life: Life
    name: str
    arguments: str
    result: int
    file: str
    error: str


@dataclass
class Log:
    """What a log tells, in the order of its lines."""

    lives: dict[int, list[Life]] = field(default_factory=dict)
    """By thread id, each of which may be used several times."""
    calls: list[Call] = field(default_factory=list)
    _now: dict[int, Life] = field(default_factory=dict)
    _begun: dict[int, str] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """Take one line in."""
        number, text = line.split(None, 1)
        tid = int(number)
        life = self._now.get(tid)
        if not life:
            life = self._now[tid] = Life(tid)
            self.lives.setdefault(tid, []).append(life)
        if text.startswith("+++"):
            self._ends(life, text)
        elif not text.startswith("---"):
            self._call(life, text)

    def _ends(self, life: Life, text: str) -> None:
        if match := _SUPERSEDED.fullmatch(text):
            # A thread's exec has succeeded, which makes it the process's only one and gives it the process's id. (What strace 6.1 says of
            # the call's result with --seccomp-bpf is wrong here.)
            other = int(match[1])
            del self._now[other]
            self._begun[life.tid] = ""
            self._returned(life, self._begun.pop(other) + ") = 0")
            return
        if match := _EXITED.fullmatch(text):
            life.end = (int(match[1]), None, False)
        elif match := _KILLED.fullmatch(text):
            life.end = (None, int(signal.Signals[match[1]]), bool(match[2]))
        else:
            raise ValueError(f"not understood: {text}")
        del self._now[life.tid]
        self._begun.pop(life.tid, None)

    def _call(self, life: Life, text: str) -> None:
        if match := _BEGUN.fullmatch(text):
            self._begun[life.tid] = match[1]
            return
        if match := _RESUMED.fullmatch(text):
            begun = self._begun.pop(life.tid)
            if not begun:  # told already
                return
            text = begun + match[1]
        if not _NOTHING.fullmatch(text):
            self._returned(life, text)

    def _returned(self, life: Life, text: str) -> None:
        match = _CALL.fullmatch(text)
        if not match:
            raise ValueError(f"not understood: {life.tid} {text}")
        self.calls.append(Call(life, match["name"], match["arguments"], int(match["result"]), plain(match["file"] or ""), match["error"] or ""))


def read(path: Path) -> Log:
    """Read a log."""
    log = Log()
    with path.open() as lines:
        for line in lines:
            log.add(line.rstrip("\n"))
    return log


def octets(text: str) -> bytes:
    r"""Return what ``\x..`` stands for."""
    return bytes.fromhex(text.replace("\\x", ""))


def plain(text: str) -> str:
    r"""Return text whose bytes are written as ``\x..``; it may be no UTF-8."""
    return octets(text).decode(errors="replace")
