"""Connect with TCP Fast Open in its ways, and as MPTCP; say what was tried and what TCP_INFO tells of the SYN.

``fast_open.py PORT MPTCP_PORT CLOSED_PORT UNREACHABLE_PORT UNREACHABLE_PORT``; an MPTCP_PORT of 0: this kernel has no MPTCP
"""

import errno
import select
import socket
import sys

from tests.kernel.programs.attempts import Attempt, attempt, await_line, connect, say

IPPROTO_MPTCP = 262
MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN_CONNECT = 30
SYN_DATA = 32  # TCPI_OPT_SYN_DATA in tcpi_options of struct tcp_info: the peer acknowledged data in the SYN
LOCAL = "127.0.0.1"
port, mptcp_port, closed_port, unreachable_port, later_port = map(int, sys.argv[1:])
kept: list[socket.socket] = []


def of_sock(case: str, sock: socket.socket, dport: int) -> Attempt:
    had_data = bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5] & SYN_DATA)
    return attempt(case, dport, "connected", 0, sport=sock.getsockname()[1], is_fastopen=had_data, is_mptcp=False)


def made(protocol: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    kept.append(sock)
    return sock


def message(case: str) -> Attempt:
    sock = made()
    assert sock.sendto(b"x" * 11, MSG_FASTOPEN, (LOCAL, port)) == 11
    return of_sock(case, sock, port)


def deferred(case: str) -> Attempt:
    """connect(2) says that it is done, and the first data go out with the SYN."""
    sock = made()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    assert connect(sock, (LOCAL, port)) == 0
    assert sock.send(b"x" * 13) == 13
    select.select([], [sock], [], 60)
    return of_sock(case, sock, port)


def plain(case: str) -> Attempt:
    sock = made()
    assert connect(sock, (LOCAL, port)) == 0
    return of_sock(case, sock, port)


def multipath(case: str, dport: int, error: int = 0, host: str = LOCAL, protocol: int = IPPROTO_MPTCP) -> Attempt:
    sock = made(protocol)
    found = connect(sock, (host, dport))
    assert found == error, errno.errorcode[found]
    if not error:
        sock.send(b"x" * 17)
    ends = {} if error else {"sport": sock.getsockname()[1]}
    return attempt(case, dport, "failed" if error else "connected", error, is_mptcp=protocol == IPPROTO_MPTCP, is_fastopen=False, **ends)


def multipath_without_waiting(case: str, dport: int) -> Attempt:
    """Be refused, and hear of it by another connect(2)."""
    sock = made(IPPROTO_MPTCP)
    sock.setblocking(False)
    assert connect(sock, (LOCAL, dport)) == errno.EINPROGRESS
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    assert poll.poll(60_000)
    found = connect(sock, (LOCAL, dport))
    return attempt(case, dport, "failed", found, is_mptcp=True, is_fastopen=False)


attempts = [plain("plain"), message("asks for the cookie"), message("has data in the SYN"), deferred("TCP_FASTOPEN_CONNECT")]
if mptcp_port:
    attempts += [
        multipath("mptcp", mptcp_port),
        multipath("mptcp, refused", closed_port, errno.ECONNREFUSED),
        multipath("mptcp, no route", 1200, errno.ENETUNREACH, "192.0.2.1"),
        multipath("mptcp, rejected", unreachable_port, errno.EHOSTUNREACH),
        multipath_without_waiting("mptcp, refused without waiting", closed_port + 1),
        multipath_without_waiting("mptcp, rejected without waiting", later_port),
        multipath("mptcp to tcp", port),
        multipath("tcp to mptcp", mptcp_port, protocol=socket.IPPROTO_TCP),
    ]
say(attempts)
await_line()
