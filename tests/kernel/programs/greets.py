"""Two services that use each other: listen, then connect as often as is said and read a greeting; say each connection's local port, by either end.

usage: greets NAME OWN_ADDRESS PORT PEER_ADDRESS CONNECTS ACCEPTS
"""

import socket
import sys
import threading
from pathlib import Path

from tests.kernel.programs.attempts import say

name, own, port, peer, connects, accepts = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
Path("/proc/self/comm").write_text(name)
listener = socket.create_server((own, port), backlog=128)
accepted: list[int] = []


def serve() -> None:
    for _ in range(accepts):
        connection, (_, peer_port) = listener.accept()
        with connection:
            connection.sendall(b"hello")
            accepted.append(peer_port)


server = threading.Thread(target=serve)
server.start()
say("listening")
sys.stdin.readline()
connected = []
for _ in range(connects):
    with socket.create_connection((peer, port)) as connection:
        connected.append(connection.getsockname()[1])
        while connection.recv(64):
            pass
server.join()
say({"connected": connected, "accepted": accepted})
