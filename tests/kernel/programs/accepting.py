"""Accept connections in worker processes that share a listener, the odd ones by accept(2), the others by accept4(2), until told to end.

``accepting.py 5 5400 5401``: five workers on the first port. On the second one this process accepts once per line of input, and says
whom it took and when. In the end it says what the workers took.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress

from tests.kernel.programs.attempts import await_line, boottime_ns, say

libc = ctypes.CDLL(None, use_errno=True)
workers, shared_port, own_port = map(int, sys.argv[1:])


def accept(listener: socket.socket) -> int:
    """Call accept(2), which Python does not; return the peer's port."""
    address, size = ctypes.create_string_buffer(28), ctypes.c_uint32(28)
    fd = libc.accept(listener.fileno(), address, ctypes.byref(size))
    assert fd >= 0, os.strerror(ctypes.get_errno())
    port: int = struct.unpack("!H", address.raw[2:4])[0]
    return port


def work(listener: socket.socket, number: int, output: int) -> None:
    kept = []
    while True:
        if number % 2:
            peer = accept(listener)
        else:
            sock, (_, peer) = listener.accept()
            kept.append(sock)
        os.write(output, json.dumps({"pid": os.getpid(), "call": "accept" if number % 2 else "accept4", "dport": peer}).encode() + b"\n")


listener = socket.create_server(("127.0.0.1", shared_port), backlog=256)
own = socket.create_server(("::", own_port), family=socket.AF_INET6, dualstack_ipv6=True)
read, write = os.pipe()
pids = []
for number in range(workers):
    pid = os.fork()
    if not pid:
        try:
            work(listener, number, write)
        finally:
            os._exit(1)
    pids.append(pid)
os.close(write)
say({"pid": os.getpid(), "workers": pids})
accepted = []
while await_line():
    before_ns = boottime_ns()
    sock, peer = own.accept()
    say({"before_ns": before_ns, "after_ns": boottime_ns(), "dport": peer[1], "daddr": peer[0].removeprefix("::ffff:"), "pid": os.getpid()})
    accepted.append(sock)
own.setblocking(False)
with suppress(BlockingIOError):  # there is nothing to accept
    own.accept()
for pid in pids:
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
with os.fdopen(read) as lines:
    say([json.loads(line) for line in lines])
