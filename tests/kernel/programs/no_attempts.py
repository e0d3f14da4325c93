"""Call connect(2) in every way that is no attempt of TCP, or no new one; print the errnos as JSON."""

import ctypes
import errno
import os
import socket
import struct
import tempfile

from tests.kernel.programs.attempts import LISTENING, say

libc = ctypes.CDLL(None, use_errno=True)
LOCAL = "127.0.0.1"
found: dict[str, str] = {}


def raw(name: str, fd: int, address: bytes | int, length: int | None = None) -> None:
    size = length if length is not None else len(address) if isinstance(address, bytes) else 16
    result = libc.connect(fd, ctypes.c_void_p(address) if isinstance(address, int) else address, size)
    found[name] = errno.errorcode[ctypes.get_errno()] if result else "0"


def inet(port: int, host: str = LOCAL) -> bytes:
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


tcp = socket.socket()
udp = socket.socket(type=socket.SOCK_DGRAM)
raw("udp", udp.fileno(), inet(LISTENING[7]))
raw("udp, no route", udp.fileno(), inet(LISTENING[7], "192.0.2.1"))
raw("udp, broadcast", udp.fileno(), inet(LISTENING[7], "255.255.255.255"))
udp6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
found["udp6, no route"] = errno.errorcode[udp6.connect_ex(("2001:db8::1", LISTENING[7]))]
icmp = socket.socket(type=socket.SOCK_RAW, proto=socket.IPPROTO_ICMP)
raw("icmp", icmp.fileno(), inet(0))
raw("icmp, no route", icmp.fileno(), inet(0, "192.0.2.1"))
with tempfile.TemporaryDirectory() as folder:
    unix = socket.socket(socket.AF_UNIX)
    found["unix, nobody"] = errno.errorcode[unix.connect_ex(folder + "/none")]
    server = socket.socket(socket.AF_UNIX)
    server.bind(folder + "/one")
    server.listen()
    found["unix"] = str(unix.connect_ex(folder + "/one"))
raw("a file", os.open("/etc/passwd", os.O_RDONLY), inet(LISTENING[7]))
raw("a path", os.open("/etc", os.O_PATH), inet(LISTENING[7]))
raw("no fd", 99_999, inet(LISTENING[7]))
raw("a negative fd", -1, inet(LISTENING[7]))
raw("a bad pointer", tcp.fileno(), 8)
raw("no pointer", tcp.fileno(), 0)
raw("a unix address", tcp.fileno(), struct.pack("=H", socket.AF_UNIX) + b"/tmp/no such socket\0")
raw("no family, not connected", tcp.fileno(), bytes(16))
listener = socket.create_server((LOCAL, LISTENING[7]))
raw("a listener", listener.fileno(), inet(LISTENING[8]))
client = socket.create_connection((LOCAL, LISTENING[7]))
raw("connected already", client.fileno(), inet(LISTENING[7]))
accepted, _ = listener.accept()
raw("accepted", accepted.fileno(), inet(LISTENING[7]))
say(found)
