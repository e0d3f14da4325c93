"""Accept as many connections as the argument says, each of which its client resets at once: often while, or before, it is accepted."""

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

count = int(sys.argv[1])
# Where the queue is full the kernel forgets a connection that its client has reset, and nobody would accept it.
listener = socket.create_server(("127.0.0.1", 0), backlog=count)
assert count <= int(Path("/proc/sys/net/core/somaxconn").read_text())
client = os.fork()
for _ in range(count):
    if client:
        with suppress(ConnectionError):  # where it was reset so early that it is none any more
            listener.accept()[0].close()
    else:
        sock = socket.create_connection(listener.getsockname())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
if client:
    os.waitpid(client, 0)
