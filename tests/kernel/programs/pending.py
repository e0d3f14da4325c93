"""Begin to connect to each port of the first argument, JSON, without waiting; say with which local ports, then hold all sockets.

With every further line of input it waits until one that is named in it, by its place, has an outcome, and says its SO_ERROR.
"""

import errno
import json
import os
import select
import socket
import sys

from tests.kernel.programs.attempts import await_line, connect, say

sockets = []
for port in json.loads(sys.argv[1]):
    sock = socket.socket()
    sock.setblocking(False)
    assert connect(sock, ("127.0.0.1", port)) == errno.EINPROGRESS
    sockets.append(sock)
say({"pid": os.getpid(), "sports": [sock.getsockname()[1] for sock in sockets]})
while line := await_line():
    poll = select.poll()
    poll.register(sockets[int(line)], select.POLLOUT)
    assert poll.poll(60_000)
    say(sockets[int(line)].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
