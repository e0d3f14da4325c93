"""Listen on so many addresses of the loopback network as the argument says; say [address, port] of each, and keep them until standard input ends."""

import itertools
import resource
import socket
import sys

from tests.kernel.programs.attempts import say

PORTS = 5_000
count = int(sys.argv[1])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
places = itertools.islice(((f"127.1.0.{host}", 20_000 + port) for host in range(1, 255) for port in range(PORTS)), count)
kept = []
for place in places:
    sock = socket.socket()
    sock.bind(place)
    sock.listen(1)
    kept.append(sock)
say([sock.getsockname() for sock in kept])
sys.stdin.read()
