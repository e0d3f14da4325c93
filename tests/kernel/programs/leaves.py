"""Begin to connect, and be gone before the handshake ends.

``leaves.py exit 5100``: connect without waiting and exit. ``leaves.py wait 5100``: say so and wait in connect(2), for a signal to end it.
``leaves.py leave 5300``: hand the socket to a child, which says when it is connected, and exit at once.
"""

import ctypes
import errno
import os
import select
import socket
import sys

from tests.kernel.programs.attempts import connect, say

PR_SET_NAME = 15
how, port = sys.argv[1], int(sys.argv[2])
ctypes.CDLL(None).prctl(PR_SET_NAME, b"the caller", 0, 0, 0)
sock = socket.socket()
sock.bind(("127.0.0.1", 0))
say({"pid": os.getpid(), "sport": sock.getsockname()[1]})
if how == "wait":
    connect(sock, ("127.0.0.1", port))
sock.setblocking(False)
assert connect(sock, ("127.0.0.1", port)) == errno.EINPROGRESS
if how == "leave" and not os.fork():
    ctypes.CDLL(None).prctl(PR_SET_NAME, b"the heir", 0, 0, 0)
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    assert poll.poll(60_000)
    say({"error": sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "pid": os.getpid(), "parent": os.getppid()})
os._exit(7)
