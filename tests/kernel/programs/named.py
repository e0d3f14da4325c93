"""For each name of the arguments, bytes in hexadecimal: take it, connect and be accepted over IPv4 and IPv6, be refused, and find no route.

Says process id, names and ports; then waits to be told to end.
"""

import ctypes
import errno
import os
import socket
import sys

from tests.kernel.programs.attempts import LISTENING, REFUSED, await_line, connect, say

PR_SET_NAME = 15
libc = ctypes.CDLL(None)
found = []
for number, name in enumerate(map(bytes.fromhex, sys.argv[1:])):
    libc.prctl(PR_SET_NAME, name, 0, 0, 0)
    made = {}
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        port = LISTENING[number]
        with socket.create_server((host, port), family=family) as listener, socket.socket(family) as client:
            client.connect((host, port))
            with listener.accept()[0] as server:
                client.send(b"x" * 5)
                assert server.recv(9) == b"xxxxx"
                made[host] = [client.getsockname()[1], port]
    refused = socket.socket()
    assert connect(refused, ("127.0.0.1", REFUSED[number])) == errno.ECONNREFUSED
    assert connect(socket.socket(), ("192.0.2.1", REFUSED[number])) == errno.ENETUNREACH
    found.append({"pid": os.getpid(), "made": made, "refused": REFUSED[number]})
libc.prctl(PR_SET_NAME, b"named", 0, 0, 0)
say(found)
await_line()
