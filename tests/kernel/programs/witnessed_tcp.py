"""The connections of ``witnessed.py``: every way to connect, to be refused, to accept and to end, and connects that are none of TCP."""

import ctypes
import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tests.kernel.programs.attempts import DROPPED, REFUSED, REJECTED, connect

PROGRAMS = ("no_attempts", "odd_connects")
LISTENING = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::"))

Address = Any
libc = ctypes.CDLL(None, use_errno=True)


def listen() -> tuple[list[socket.socket], socket.socket]:
    """Return listeners of all kinds, the last one for both families, and one that nobody accepts from."""
    made = []
    for family, host in (*LISTENING, LISTENING[0]):
        made.append(socket.create_server((host, 0), family=family, backlog=4_096, dualstack_ipv6=host == "::"))
    return made[:-1], made[-1]


class Addresses:
    """Where to connect to."""

    def __init__(self, listeners: Sequence[socket.socket], deaf: socket.socket) -> None:
        self.v4, self.other_v4, self.v6, both = (listener.getsockname() for listener in listeners)
        self.deaf = deaf.getsockname()
        self.any_v4 = ("127.0.0.1", both[1])
        self.mapped = ("::ffff:127.0.0.1", both[1], 0, 0)


# The server's side: a client says who is to close first.


def answer(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        connection.getsockname()
        first = connection.recv(1)
        connection.sendall(b"x")
        if first == b"c":
            connection.recv(1)


def accept4(listener: socket.socket) -> None:
    while True:
        answer(listener.accept()[0])


def accept(listener: socket.socket) -> None:
    """Take connections by accept(2), which Python does not call."""
    while True:
        address, size = ctypes.create_string_buffer(28), ctypes.c_uint32(28)
        answer(socket.socket(fileno=libc.accept(listener.fileno(), address, ctypes.byref(size))))


def serve(listeners: Sequence[socket.socket], take: Callable[[socket.socket], None]) -> None:
    """Take connections from each listener in a thread of its own, until killed."""
    threads = [threading.Thread(target=take, args=(listener,)) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# The client's side. A socket's local end is asked for as soon as it is there, so that a witness of system calls knows it.


def new(address: Address, *, bound: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family)
    if bound:
        sock.bind((address[0], 0))
        sock.getsockname()
    return sock


def connected(address: Address, **how: Any) -> socket.socket:
    sock = new(address, **how)
    sock.connect(address)
    sock.getsockname()
    return sock


def talk(sock: socket.socket, first: bytes = b"c") -> None:
    with sock:
        sock.sendall(first)
        sock.recv(1)
        if first == b"s":
            sock.recv(1)


def without_waiting(address: Address) -> socket.socket:
    """Connect and do something else meanwhile; return the socket when it is decided."""
    sock = new(address)
    sock.setblocking(False)
    if connect(sock, address) == errno.EINPROGRESS:
        sock.getsockname()
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        poll.poll()
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.getpeername()
    sock.setblocking(True)
    return sock


def fails(addresses: Addresses, number: int) -> None:
    port = REFUSED[number % len(REFUSED)]
    for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.1", "2001:db8::1"):
        with new((host, port)) as sock:
            connect(sock, (host, port))
    for host in ("127.0.0.1", "::1"):
        with new((host, port), bound=True) as sock:
            connect(sock, (host, port))
        without_waiting((host, port)).close()
    if not number:  # it takes a second
        with new(addresses.v4) as sock:
            connect(sock, ("127.0.0.1", REJECTED[0]))
    with new(addresses.v4, bound=True) as taken, new(addresses.v4) as sock, suppress(OSError):
        sock.bind(taken.getsockname())


def given_up(number: int) -> None:
    """Close sockets whose connect is not decided, since its packets are dropped."""
    address = ("127.0.0.1", DROPPED[number % len(DROPPED)])
    with new(address) as sock:
        sock.setblocking(False)
        connect(sock, address)
        sock.getsockname()
    with new(address, bound=True) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 2_000))
        connect(sock, address)


def inherited(addresses: Addresses) -> None:
    """Connect a socket of the parent's in a child; close one of the child's in its parent, and the other way round."""
    sock, other = new(addresses.v4), connected(addresses.v6)
    pid = os.fork()
    if not pid:
        with suppress(OSError):
            sock.connect(addresses.v4)
            sock.getsockname()
            talk(other, b"s")
        os._exit(0)
    os.waitpid(pid, 0)
    talk(sock)
    other.close()


def taken_back(addresses: Addresses) -> None:
    """Connect, take it back by AF_UNSPEC, and connect again; and once more, which is refused."""
    sock = connected(addresses.v4)
    sock.sendall(b"c")
    sock.recv(1)
    libc.connect(sock.fileno(), bytes(16), 16)
    sock.connect(addresses.other_v4)
    sock.getsockname()
    connect(sock, addresses.other_v4)
    talk(sock)


def reset(addresses: Addresses, *, at_once: bool) -> None:
    """Break a connection off, when it was accepted or, often, before that."""
    sock = connected(addresses.v6)
    if not at_once:
        sock.sendall(b"c")
        sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def to_itself(host: str) -> None:
    with new((host, 0), bound=True) as sock:
        sock.connect(sock.getsockname())
        sock.getsockname()


def everything(addresses: Addresses, number: int) -> None:
    """Do all of it once."""
    for address in (addresses.v4, addresses.other_v4, addresses.v6, addresses.any_v4, addresses.mapped):
        talk(connected(address))
        talk(connected(address), b"s")
        talk(without_waiting(address))
    talk(connected(addresses.v4, bound=True))
    connected(addresses.deaf).close()
    fails(addresses, number)
    given_up(number)
    inherited(addresses)
    taken_back(addresses)
    reset(addresses, at_once=False)
    reset(addresses, at_once=True)
    to_itself("127.0.0.1")
    to_itself("::1")
    threads = [threading.Thread(target=lambda: talk(connected(addresses.v4))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
