"""Open and accept connections in processes of their own, which leave them in every way, after a change of name; say who they were."""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.kernel.programs.attempts import LISTENING, say

PR_SET_NAME = 15
libc = ctypes.CDLL(None)


def rename(name: str) -> None:
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def exits() -> None:
    os._exit(0)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves_an_heir() -> None:
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    rename("an heir")
    while os.getppid() == parent:
        time.sleep(0.001)
    os._exit(0)


def opener(port: int, way: Callable[[], None], output: int) -> None:
    rename("an opener")
    sock = socket.create_connection(("127.0.0.1", port))
    rename("renamed")
    sock.send(b"x" * 19)
    os.write(output, f"opener {os.getpid()} {sock.getsockname()[1]}\n".encode())
    way()


def acceptor(listener: socket.socket, way: Callable[[], None], output: int) -> None:
    rename("an acceptor")
    sock, (_, sport) = listener.accept()
    rename("renamed")
    while sock.recv(100):
        pass
    os.write(output, f"acceptor {os.getpid()} {sport}\n".encode())
    way()


found = []
for number, way in enumerate((exits, is_killed, leaves_an_heir)):
    port = LISTENING[20] + number
    listener = socket.create_server(("127.0.0.1", port))
    read, write = os.pipe()
    children = []
    for work in (partial(acceptor, listener), partial(opener, port)):
        pid = os.fork()
        if not pid:
            try:
                os.close(read)
                work(way, write)
            finally:
                sys.stderr.write("a child went on\n")
                os._exit(1)
        children.append(pid)
    listener.close()
    os.close(write)
    for child in children:
        os.waitpid(child, 0)
    with os.fdopen(read) as lines:  # ends when the heirs have ended, too
        by_role = {role: [int(pid), int(sport)] for role, pid, sport in map(str.split, lines)}
    found.append({"case": way.__name__, "dport": port, **by_role})
say(found)
