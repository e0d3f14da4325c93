"""Make as many connections as the argument says, each of which its client resets at once: often while, or before, it is accepted. Say how many were.

Where its reset overtakes the end of the handshake the kernel forgets a connection. The last one is not reset, so that it is known where they end.
"""

import os
import socket
import struct
import sys
from contextlib import suppress

count = int(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0), backlog=count)
last = socket.socket()
last.bind(("127.0.0.1", 0))
client = os.fork()
if not client:
    for _ in range(count):
        sock = socket.create_connection(listener.getsockname())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    last.connect(listener.getsockname())
    sys.exit()
accepted, peer = 0, None
while peer != last.getsockname():
    with suppress(ConnectionError):  # where it was reset so early that it is none any more
        sock, peer = listener.accept()
        sock.close()
        accepted += 1
os.waitpid(client, 0)
print(accepted, flush=True)
