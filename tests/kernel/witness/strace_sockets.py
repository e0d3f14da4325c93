"""What ``strace`` saw of TCP sockets: attempts to connect, what came of them, and accepts. A socket is its inode, whichever process holds it."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

from tests.kernel.witness.facts import End, end
from tests.kernel.witness.strace_log import Call, Life, Log, octets, plain

AF_INET, AF_INET6, SOCK_STREAM, TCP = 0x2, 0xA, 1, (0, 6)
NO_ATTEMPT = {"EBADF", "ENOTSOCK", "EFAULT", "EISCONN", "EALREADY"}

_SOCKET = re.compile(r"\d+<((?:\\x..)+)>,")
_ADDRESS = re.compile(r'sin6?_port="([^"]*)".* sin6?_addr="([^"]*)"')
_UNSPECIFIED = re.compile(r"sa_family=0(?:x0)?,")
_SO_ERROR = re.compile(r">, 0x1, 0x4,\s+\[(\d+)\]")  # 0x1: SOL_SOCKET


@dataclass(slots=True)
class Attempt:
    """A call of connect(2) that tried something."""

    life: Life
    peer: End
    local: End | None
    outcome: str
    errno: int | None


@dataclass(slots=True)
class Taken:
    """A connection that was accepted."""

    life: Life
    peer: End
    local: End | None


@dataclass(slots=True)
class _Socket:
    is_bound: bool = False
    name: End | None = None
    attempt: Attempt | None = None
    is_pending: bool = False


@dataclass
class Sockets:
    """All TCP sockets, by inode, and what became of them."""

    sockets: dict[str, _Socket] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)

    @classmethod
    def of(cls, log: Log) -> Sockets:
        """Return what a log tells of sockets."""
        made = cls()
        takes = {name.removeprefix("_on_"): getattr(made, name) for name in dir(cls) if name.startswith("_on_")}
        for call in log.calls:
            if call.name == "socket":
                made._new(call)
            elif (take := takes.get(call.name)) and (match := _SOCKET.match(call.arguments)):
                inode = plain(match[1])
                if sock := made.sockets.get(inode):
                    take(sock, inode, call)
        return made

    def _new(self, call: Call) -> None:
        domain, kinds, protocol = call.arguments.split(", ")
        kind = sum(int(word, 0) for word in kinds.split("|"))
        if call.result >= 0 and int(domain, 0) in (AF_INET, AF_INET6) and kind & 0xF == SOCK_STREAM and int(protocol, 0) in TCP:
            self.sockets[call.file] = _Socket()

    def _on_bind(self, sock: _Socket, _: str, call: Call) -> None:
        sock.is_bound |= call.result == 0

    def _on_getsockname(self, sock: _Socket, inode: str, call: Call) -> None:
        name = _address(call.arguments)
        if call.result or not name or not name.port:
            return
        sock.name = name
        if sock.attempt and (sock.is_pending or sock.attempt.outcome == "connected"):
            sock.attempt.local = name
        if inode in self.taken:
            self.taken[inode].local = name

    def _on_getpeername(self, sock: _Socket, _: str, call: Call) -> None:
        if call.result == 0:
            _decide(sock, "connected", 0)

    def _on_getsockopt(self, sock: _Socket, _: str, call: Call) -> None:
        # 0 may be an attempt that is not decided yet.
        if (match := _SO_ERROR.search(call.arguments)) and int(match[1]):
            _decide(sock, "failed", int(match[1]))

    def _on_accept4(self, sock: _Socket, _: str, call: Call) -> None:
        peer = _address(call.arguments)
        if call.result >= 0 and peer:
            self.sockets[call.file] = _Socket(is_bound=True)
            self.taken[call.file] = Taken(call.life, peer, sock.name)

    _on_accept = _on_accept4

    def _on_connect(self, sock: _Socket, _: str, call: Call) -> None:
        peer = _address(call.arguments)
        if _UNSPECIFIED.search(call.arguments):  # it takes an attempt back, or ends a connection
            _decide(sock, "closed", None)
            sock.name = sock.name if sock.is_bound else None
        elif sock.is_pending:
            if call.error in ("", "EISCONN"):
                _decide(sock, "connected", 0)
            elif call.error not in ("EINPROGRESS", "EALREADY"):
                _decide(sock, "failed", getattr(errno, call.error))
        elif peer and call.error not in NO_ATTEMPT:
            self._tried(sock, peer, call)

    def _tried(self, sock: _Socket, peer: End, call: Call) -> None:
        sock.attempt = Attempt(call.life, peer, sock.name if sock.is_bound else None, "connected", 0)
        self.attempts.append(sock.attempt)
        if call.error == "EINPROGRESS":
            # Unless something says that it was decided it is given up in the end.
            sock.is_pending = True
            sock.attempt.outcome, sock.attempt.errno = "closed", None
        elif call.error:
            sock.attempt.outcome, sock.attempt.errno = "failed", getattr(errno, call.error)


def _decide(sock: _Socket, outcome: str, error: int | None) -> None:
    if sock.attempt and sock.is_pending:
        sock.attempt.outcome, sock.attempt.errno = outcome, error
        sock.is_pending = False


def _address(text: str) -> End | None:
    match = _ADDRESS.search(text)
    return end(octets(match[2]), int.from_bytes(octets(match[1]))) if match else None
