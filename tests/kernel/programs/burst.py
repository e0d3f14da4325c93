"""Be refused so often, one after the other, as the second argument says: ``burst.py PORT COUNT``."""

import errno
import socket
import sys

port, count = map(int, sys.argv[1:])
for _ in range(count):
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
print(count)
