"""A small real TCP workload on loopback: connects that succeed, one that is refused, one over IPv6.

With an argument it is to run in namespaces of its own, takes that for its host name, and brings the loopback up first.
"""

import contextlib
import fcntl
import socket
import struct
import sys
import threading
import time

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
CONNECTS = 5


def serve(listener: socket.socket) -> None:
    """Answer each connection with a thousand bytes for each that it sent."""
    while True:
        connection = listener.accept()[0]
        connection.sendall(b"x" * 1000 * len(connection.recv(100)))
        connection.close()


def request(family: socket.AddressFamily, address: tuple[str, int], size: int) -> None:
    """Connect, send ``size`` bytes, read all there is."""
    with socket.socket(family) as client:
        client.connect(address)
        client.sendall(b"?" * size)
        while client.recv(65_536):
            pass


def main() -> None:
    """Run the workload."""
    if sys.argv[1:]:
        socket.sethostname(sys.argv[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as listener:  # not every host has IPv6
            listener.bind((host, 0))
            with contextlib.suppress(ConnectionRefusedError):
                request(family, listener.getsockname(), 1)
            listener.listen()
            threading.Thread(target=serve, args=(listener,), daemon=True).start()
            for size in range(1, CONNECTS + 1):
                request(family, listener.getsockname(), size)
                time.sleep(0.1)


main()
