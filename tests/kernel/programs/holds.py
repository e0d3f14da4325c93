"""Hold TCP sockets of many kinds: listeners here, connections to them in a child, some accepted here. Say who holds what.

When told to, one more connection is accepted; both send 7 more bytes on each accepted connection that still takes them, close everything, and
the program ends.
"""

import os
import socket
import sys

from tests.kernel.programs.attempts import await_line, say

EARLIER, LATER = b"x" * 101, b"x" * 7


def listener(host: str, family: int, dual: bool = False) -> socket.socket:
    return socket.create_server((host, 0), family=family, dualstack_ipv6=dual)


listeners = {
    "v4": listener("127.0.0.1", socket.AF_INET),
    "v6": listener("::1", socket.AF_INET6),
    "dual": listener("::", socket.AF_INET6, dual=True),
}
ports = {name: sock.getsockname()[1] for name, sock in listeners.items()}
# By whom it is accepted, over which address; "later" is accepted when the recording has begun, and "waits" not at all.
WAYS = {"v4": "127.0.0.1", "v6": "::1", "dual": "127.0.0.1", "half": "127.0.0.1", "later": "::1", "waits": "127.0.0.1"}
TO = {"half": "v4", "later": "v6", "waits": "v4"}
read, write = os.pipe()
go_read, go_write = os.pipe()
client = os.fork()
if not client:
    try:
        os.close(go_write)
        for sock in listeners.values():
            sock.close()
        clients = {way: socket.create_connection((host, ports[TO.get(way, way)])) for way, host in WAYS.items()}
        for way, sock in clients.items():
            if way != "waits":
                sock.send(EARLIER)
        clients["half"].shutdown(socket.SHUT_WR)
        os.write(write, (" ".join(f"{way}={sock.getsockname()[1]}" for way, sock in clients.items()) + "\n").encode())
        os.read(go_read, 1)
        for way, sock in clients.items():
            if way not in ("half", "waits"):
                sock.send(LATER)
            sock.close()
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
    os._exit(0)
accepted = {}
for way in ("v4", "v6", "dual", "half"):
    sock, _ = listeners[TO.get(way, way)].accept()
    left = len(EARLIER)
    while left:
        left -= len(sock.recv(left))
    if way == "half":
        assert sock.recv(1) == b""
    accepted[way] = sock
with os.fdopen(read) as lines:
    sports = {way: int(port) for way, port in (word.split("=") for word in lines.readline().split())}
say({"server": os.getpid(), "client": client, "ports": ports, "sports": sports, "dports": {way: ports[TO.get(way, way)] for way in WAYS}})
await_line()
accepted["later"], _ = listeners["v6"].accept()
os.close(go_read)
os.close(go_write)  # the child's read ends
os.waitpid(client, 0)
for sock in accepted.values():
    while sock.recv(100):
        pass
    sock.close()
