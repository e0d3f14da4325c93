"""Connect a socket to itself, over IPv4 and IPv6, and two sockets to each other at the same time; say what was tried."""

import errno
import select
import socket

from tests.kernel.programs.attempts import LATE, LISTENING, Attempt, attempt, await_line, connect, say


def bound(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family)
    sock.bind((host, port))
    return sock


def connected(case: str, sock: socket.socket) -> Attempt:
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    return attempt(case, sock.getpeername()[1], "connected", 0, sport=sock.getsockname()[1])


made = []
kept = []
for family, host, port in ((socket.AF_INET, "127.0.0.1", LISTENING[0]), (socket.AF_INET6, "::1", LISTENING[2])):
    sock = bound(family, host, port)
    assert connect(sock, (host, port)) == 0
    made.append(connected(f"to itself, {host}", sock))
    kept.append(sock)

# Each one's first SYN is dropped, or a reset would be the answer: by the second both are waiting for one.
pair = [bound(socket.AF_INET, "127.0.0.1", port) for port in LATE[:2]]
for sock, port in zip(pair, reversed(LATE[:2]), strict=True):
    sock.setblocking(False)
    assert connect(sock, ("127.0.0.1", port)) == errno.EINPROGRESS
for sock in pair:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    assert poll.poll(60_000)
    made.append(connected("to each other", sock))
pair[0].send(b"odd")
pair[1].setblocking(True)
assert pair[1].recv(9) == b"odd"
say(made)
await_line()
