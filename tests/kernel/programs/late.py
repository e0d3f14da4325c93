"""Fork children that connect to ports whose handshake takes a second (LATE), with processes that keep their CPU busy meanwhile; say who they were.

``late.py 23``: all on CPU 0, where two children spin until the others have ended. Each child has a name of its own when it connects, and another
one before the handshake ends.
"""

import ctypes
import errno
import os
import select
import signal
import socket
import sys
from collections.abc import Callable

from tests.kernel.programs.attempts import LATE, attempt, connect, say

PR_SET_NAME = 15
libc = ctypes.CDLL(None)


def rename(name: str) -> None:
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def spin() -> None:
    rename("spins")
    while True:
        pass


def connect_late(port: int, output: int) -> None:
    rename(f"late {port}")
    sock = socket.socket()
    sock.setblocking(False)
    assert connect(sock, ("127.0.0.1", port)) == errno.EINPROGRESS
    rename("renamed")
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    assert poll.poll(60_000)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    os.write(output, f"{sock.getsockname()[1]} {port} {os.getpid()}\n".encode())


count = int(sys.argv[1])
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
listeners = [socket.create_server(("127.0.0.1", port)) for port in LATE[:count]]
spinners = [forked(spin) for _ in range(2)]
read, write = os.pipe()
children = [forked(lambda port=port: connect_late(port, write)) for port in LATE[:count]]  # type: ignore[misc]
os.close(write)
with os.fdopen(read) as lines:
    made = [list(map(int, line.split())) for line in lines]
for child in children:
    assert os.waitpid(child, 0)[1] == 0
for spinner in spinners:
    os.kill(spinner, signal.SIGKILL)
    os.waitpid(spinner, 0)
tried = [attempt("late", port, "connected", 0, sport=sport, comm=f"late {port}") | {"pid": pid, "tid": pid} for sport, port, pid in made]
say([tried, spinners])
