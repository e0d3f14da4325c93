"""Connect to oneself so often, one after the other, so that sockets have the addresses of those before: ``again.py COUNT``. Prints the ports."""

import os
import socket
import sys

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # each CPU has free memory of its own

with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1])
    for _ in range(int(sys.argv[1])):
        with socket.create_connection(listener.getsockname()) as sock:
            listener.accept()[0].close()
            print(sock.getsockname()[1])
