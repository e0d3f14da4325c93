"""Listen on each (host, port) of the first argument, JSON; say the ports; hold whatever comes, accepted, until told to end.

With a second argument, a number, MPTCP (262) or another protocol is what it listens for.
"""

import json
import selectors
import socket
import sys

from tests.kernel.programs.attempts import resolve, say

protocol = int(sys.argv[2]) if len(sys.argv) > 2 else 0
selector = selectors.DefaultSelector()
listeners = []
for host, port in json.loads(sys.argv[1]):
    family, address = resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not protocol:  # which sockets of MPTCP have had since Linux 6.2 only
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    listener.bind(address)
    listener.listen(128)
    selector.register(listener, selectors.EVENT_READ)
    listeners.append(listener)
selector.register(sys.stdin, selectors.EVENT_READ)
say([listener.getsockname()[1] for listener in listeners])
accepted = []
running = True
while running:
    for key, _ in selector.select():
        if key.fileobj is sys.stdin:
            running = False
        elif isinstance(key.fileobj, socket.socket):
            accepted.append(key.fileobj.accept())
say([(connection.getsockname()[1], peer[1]) for connection, peer in accepted])
