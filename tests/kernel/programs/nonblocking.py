"""Connect without waiting, in every way that ends otherwise than in the call; say what was tried and what each call returned.

Each case is a thread and has ports of its own. It returns its attempts, in their order, as its own calls told of them.
"""

import ctypes
import errno
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable
from functools import partial

from tests.kernel.programs.attempts import DROPPED, LATE, LATE_REJECTED, LISTENING, REFUSED, REJECTED, Attempt, attempt, connect, say, side_by_side

libc = ctypes.CDLL(None, use_errno=True)
kept: list[socket.socket] = []
LOCAL = "127.0.0.1"
NOWHERE = "192.0.2.1"  # there is no route


def made(blocking: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(blocking)
    kept.append(sock)
    return sock


def expect(found: int, *wanted: int) -> None:
    assert found in wanted, f"{errno.errorcode.get(found, found)} and not {[errno.errorcode.get(number, number) for number in wanted]}"


def begin(sock: socket.socket, port: int) -> None:
    expect(connect(sock, (LOCAL, port)), errno.EINPROGRESS)


def await_outcome(sock: socket.socket) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    assert poll.poll(60_000), "nothing in a minute"


def so_error(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def raw_connect(sock: socket.socket, address: bytes) -> int:
    """Call connect(2) once, as it is: Python goes on where a signal interrupts it."""
    return ctypes.get_errno() if libc.connect(sock.fileno(), address, len(address)) else 0


def inet_address(host: str, port: int) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


AF_UNSPEC = bytes(16)


def connected() -> list[Attempt]:
    sock = made()
    begin(sock, LISTENING[0])
    await_outcome(sock)
    expect(so_error(sock), 0)
    return [attempt("connected", LISTENING[0], "connected", 0, sport=sock.getsockname()[1])]


def connected_late() -> list[Attempt]:
    sock = made()
    begin(sock, LATE[0])
    expect(connect(sock, (LOCAL, LATE[0])), errno.EALREADY)
    await_outcome(sock)
    expect(connect(sock, (LOCAL, LATE[0])), 0)
    expect(connect(sock, (LOCAL, LATE[0])), errno.EISCONN)
    return [attempt("connected late", LATE[0], "connected", 0, sport=sock.getsockname()[1])]


def told_by(name: str, ask: Callable[[socket.socket, int], int], port: int, error: int) -> list[Attempt]:
    sock = made()
    begin(sock, port)
    await_outcome(sock)
    expect(ask(sock, port), error)
    return [attempt(name, port, "failed", error)]


def again(sock: socket.socket, port: int) -> int:
    return connect(sock, (LOCAL, port))


def told_by_connect_to_elsewhere() -> list[Attempt]:
    """A second connect tells of the first one, wherever it was to go."""
    sock = made()
    begin(sock, LATE_REJECTED[2])
    await_outcome(sock)
    expect(connect(sock, (LOCAL, LISTENING[0])), errno.EHOSTUNREACH)
    return [attempt("told by a connect to elsewhere", LATE_REJECTED[2], "failed", errno.EHOSTUNREACH)]


def retried(name: str, port: int, blocking: bool, error: int, second: tuple[str, int, int]) -> list[Attempt]:
    """Fail, hear of it, and connect the same socket once more: two attempts, two rows."""
    sock = made(blocking)
    if blocking:
        expect(connect(sock, (LOCAL, port)), error)
    else:
        begin(sock, port)
        await_outcome(sock)
        expect(so_error(sock), error)
        expect(connect(sock, (LOCAL, port)), errno.ECONNABORTED)  # this call gives the first attempt up, and begins none
    sock.setblocking(True)
    host, other, result = second
    expect(connect(sock, (host, other)), result)
    return [
        attempt(f"{name}, the first", port, "failed", error),
        attempt(f"{name}, the second", other, "failed" if result else "connected", result),
    ]


def three_times(error: int = errno.ENETUNREACH) -> list[Attempt]:
    sock = made(blocking=True)
    for _ in range(3):
        expect(connect(sock, (NOWHERE, 1101)), error)
    return [attempt("three times", 1101, "failed", error)] * 3


def told_early() -> list[Attempt]:
    """The ICMP message comes while connect(2) has the socket locked: SO_ERROR tells of it, though the kernel would try on for a second."""
    sock = made()
    begin(sock, REJECTED[0])
    await_outcome(sock)
    expect(so_error(sock), errno.EHOSTUNREACH)
    sock.close()
    return [attempt("told early", REJECTED[0], "failed", errno.EHOSTUNREACH)]


def ended(name: str, port: int, how: Callable[[socket.socket], object]) -> list[Attempt]:
    sock = made()
    begin(sock, port)
    how(sock)
    return [attempt(name, port, "closed", None)]


def disconnect(sock: socket.socket) -> None:
    expect(raw_connect(sock, AF_UNSPEC), 0)


def disconnected_and_again() -> list[Attempt]:
    sock = made()
    begin(sock, DROPPED[4])
    disconnect(sock)
    sock.setblocking(True)
    expect(connect(sock, (LOCAL, LISTENING[4])), 0)
    return [attempt("disconnected", DROPPED[4], "closed", None), attempt("and connected again", LISTENING[4], "connected", 0)]


def disconnected_too_late() -> list[Attempt]:
    """It has failed by then, and nobody has asked; the next connect is an attempt of its own."""
    sock = made()
    begin(sock, REFUSED[6])
    await_outcome(sock)
    disconnect(sock)
    expect(connect(sock, (NOWHERE, 1106)), errno.ENETUNREACH)
    return [attempt("disconnected too late", REFUSED[6], "failed", errno.ECONNREFUSED), attempt("next", 1106, "failed", errno.ENETUNREACH)]


def given_up_in_time() -> list[Attempt]:
    """SO_SNDTIMEO ends the call and not the attempt."""
    sock = made(blocking=True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 50_000))
    expect(raw_connect(sock, inet_address(LOCAL, LATE[1])), errno.EINPROGRESS)
    await_outcome(sock)
    expect(so_error(sock), 0)
    return [attempt("SO_SNDTIMEO", LATE[1], "connected", 0)]


def interrupted(name: str, number: int, port: int, *results: int) -> list[Attempt]:
    """A signal ends the call and not the attempt; or, with SA_RESTART, not even the call."""
    sock = made(blocking=True)
    thread = threading.get_ident()
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(thread, number))
    timer.start()
    expect(raw_connect(sock, inet_address(LOCAL, port)), *results)
    timer.join()
    await_outcome(sock)
    expect(so_error(sock), 0)
    return [attempt(name, port, "connected", 0)]


def timed_out() -> list[Attempt]:
    sock = made()
    begin(sock, DROPPED[5])
    await_outcome(sock)
    expect(connect(sock, (LOCAL, DROPPED[5])), errno.ETIMEDOUT)
    return [attempt("timed out", DROPPED[5], "failed", errno.ETIMEDOUT)]


def listen(port: int) -> None:
    listener = socket.create_server((LOCAL, port))
    kept.append(listener)


signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, True)
signal.signal(signal.SIGUSR2, lambda *_: None)
signal.siginterrupt(signal.SIGUSR2, False)
for free in (LISTENING[0], LISTENING[1], LISTENING[2], LISTENING[3], LISTENING[4], *LATE[:4]):
    listen(free)
NO_ROUTE = (NOWHERE, 1100, errno.ENETUNREACH)
CASES: list[Callable[[], list[Attempt]]] = [
    connected,
    connected_late,
    partial(told_by, "refused, told by SO_ERROR", lambda sock, _: so_error(sock), REFUSED[0], errno.ECONNREFUSED),
    partial(told_by, "refused, told by connect", again, REFUSED[1], errno.ECONNREFUSED),
    partial(told_by, "unreachable, told by SO_ERROR", lambda sock, _: so_error(sock), LATE_REJECTED[0], errno.EHOSTUNREACH),
    partial(told_by, "unreachable, told by connect", again, LATE_REJECTED[1], errno.EHOSTUNREACH),
    told_by_connect_to_elsewhere,
    timed_out,
    partial(retried, "refused and connected", REFUSED[2], True, errno.ECONNREFUSED, (LOCAL, LISTENING[1], 0)),
    partial(retried, "refused twice", REFUSED[3], True, errno.ECONNREFUSED, (LOCAL, REFUSED[3], errno.ECONNREFUSED)),
    partial(retried, "refused and no route", REFUSED[4], True, errno.ECONNREFUSED, (NOWHERE, 1102, errno.ENETUNREACH)),
    partial(retried, "refused by SO_ERROR and no route", REFUSED[5], False, errno.ECONNREFUSED, (NOWHERE, 1103, errno.ENETUNREACH)),
    partial(retried, "unreachable by SO_ERROR and no route", LATE_REJECTED[3], False, errno.EHOSTUNREACH, (NOWHERE, 1104, errno.ENETUNREACH)),
    partial(retried, "unreachable and no route", LATE_REJECTED[4], True, errno.EHOSTUNREACH, (NOWHERE, 1105, errno.ENETUNREACH)),
    partial(retried, "unreachable and connected", LATE_REJECTED[5], True, errno.EHOSTUNREACH, (LOCAL, LISTENING[2], 0)),
    partial(
        retried, "unreachable by SO_ERROR and unreachable", LATE_REJECTED[6], False, errno.EHOSTUNREACH, (LOCAL, LATE_REJECTED[6], errno.EHOSTUNREACH)
    ),
    three_times,
    told_early,
    partial(ended, "closed", DROPPED[0], lambda sock: sock.close()),
    partial(ended, "disconnected", DROPPED[1], disconnect),
    partial(ended, "shut down", DROPPED[2], lambda sock: sock.shutdown(socket.SHUT_RDWR)),
    disconnected_and_again,
    disconnected_too_late,
    given_up_in_time,
    partial(interrupted, "interrupted", signal.SIGUSR1, LATE[2], errno.EINTR),
    partial(interrupted, "interrupted and restarted", signal.SIGUSR2, LATE[3], 0),
]
say(side_by_side(CASES))
