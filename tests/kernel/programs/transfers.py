"""Open connections, send and receive known numbers of bytes, and end them in every way; say what each end saw.

Both ends of a connection are this process's own, so what one of them sends is what the other must receive.
"""

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.kernel.programs.attempts import FADING, LISTENING, LOSSY, boottime_ns, say

Result = dict[str, Any]
Work = Callable[[socket.socket, socket.socket, Result], None]
LINGER = struct.pack("ii", 1, 0)
TCP_USER_TIMEOUT = 18


def send(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    """Move ``size`` bytes; both ends are ours, so a thread has to send."""
    thread = threading.Thread(target=sender.sendall, args=(b"x" * size,))
    thread.start()
    left = size
    while left:
        data = receiver.recv(65_536)
        assert data
        left -= len(data)
    thread.join()


def total_retransmits(sock: socket.socket) -> int:
    """Return tcpi_total_retrans of struct tcp_info."""
    count: int = struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
    return count


def run(case: str, work: Work, port: int, family: int = socket.AF_INET) -> Result:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((host, port), family=family) as listener:
        client = socket.socket(family)
        before_ns = boottime_ns()
        client.connect((host, port))
        opened_ns = boottime_ns()
        server, _ = listener.accept()
    ends = {"sent": 0, "received": 0, "errno": None, "retransmits": 0}
    result: Result = {"case": case, "sport": client.getsockname()[1], "dport": port, "before_ns": before_ns, "opened_ns": opened_ns}
    result |= {"client": dict(ends), "server": dict(ends)}
    work(client, server, result)
    client.close()
    server.close()
    return result


def exchange(sent: int, received: int, client_first: bool) -> Work:
    def work(client: socket.socket, server: socket.socket, result: Result) -> None:
        send(client, server, sent)
        send(server, client, received)
        result["client"] |= {"sent": sent, "received": received}
        result["server"] |= {"sent": received, "received": sent}
        first, second = (client, server) if client_first else (server, client)
        result["closing_ns"] = boottime_ns()
        first.close()
        assert second.recv(1) == b""
        second.close()

    return work


def half_close(client: socket.socket, server: socket.socket, result: Result) -> None:
    send(client, server, 13)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    send(server, client, 50_021)
    server.close()
    assert client.recv(1) == b""
    result["client"] |= {"sent": 13, "received": 50_021}
    result["server"] |= {"sent": 50_021, "received": 13}


def reset(client: socket.socket, server: socket.socket, result: Result) -> None:
    """Whoever closes without lingering is not told that he broke it off; the other one is."""
    send(client, server, 1_009)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    client.close()
    try:
        server.recv(1)
    except ConnectionResetError as error:
        result["server"] |= {"received": 1_009, "errno": error.errno}
    result["client"]["sent"] = 1_009


def reset_by_unread(client: socket.socket, server: socket.socket, result: Result) -> None:
    """What is not read when a socket is closed is answered by a reset; it was received all the same."""
    client.sendall(b"x" * 333)
    select.select([server], [], [], 60)
    server.close()
    try:
        client.recv(1)
    except ConnectionResetError as error:
        result["client"] |= {"sent": 333, "errno": error.errno}
    result["server"]["received"] = 333


def lossy(client: socket.socket, server: socket.socket, result: Result) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    send(client, server, 700_001)
    result["client"] |= {"sent": 700_001, "retransmits": total_retransmits(client)}
    result["server"] |= {"received": 700_001}


def await_probe(sock: socket.socket) -> None:
    """Wait until a segment without data was sent while data waited: tcpi_segs_out, tcpi_notsent_bytes and tcpi_bytes_sent of struct tcp_info."""
    before = (0, 0)
    while True:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 208)
        (segments, waiting), (sent,) = struct.unpack_from("=I4xI", info, 136), struct.unpack_from("=Q", info, 200)
        if waiting and sent == before[1] and segments > before[0] > 0:
            return
        before = segments, sent
        time.sleep(0.005)


def stalled(client: socket.socket, server: socket.socket, result: Result) -> None:
    """The receiver's window closes, and opens again after the sender has asked whether it has."""
    thread = threading.Thread(target=client.sendall, args=(b"x" * 8_000_003,))
    thread.start()
    await_probe(client)
    left = 8_000_003
    while left:
        left -= len(server.recv(65_536))
    thread.join()
    result["client"] |= {"sent": 8_000_003, "retransmits": total_retransmits(client)}
    result["server"] |= {"received": 8_000_003}


def faded(client: socket.socket, server: socket.socket, result: Result) -> None:
    """Nothing of some size arrives any more: the sender gives up."""
    send(client, server, 17)
    client.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 500)
    client.send(b"x" * 777)
    try:
        client.recv(1)
    except TimeoutError as error:
        result["client"] |= {"sent": 17 + 777, "errno": error.errno, "retransmits": total_retransmits(client)}
    result["server"] |= {"received": 17}
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)


CASES: dict[str, tuple[Work, int, int]] = {}
for first in (True, False):
    for sizes in ((0, 0), (1, 0), (0, 1), (100_003, 0), (0, 100_003), (70_001, 99_991)):
        name = f"{sizes[0]} out, {sizes[1]} in, closed by {'client' if first else 'server'}"
        CASES[name] = (exchange(*sizes, first), LISTENING[10] + len(CASES), socket.AF_INET)
CASES["v6"] = (exchange(3, 5, True), LISTENING[40], socket.AF_INET6)
CASES["half closed"] = (half_close, LISTENING[41], socket.AF_INET)
CASES["reset"] = (reset, LISTENING[42], socket.AF_INET)
CASES["reset by what was not read"] = (reset_by_unread, LISTENING[43], socket.AF_INET)
CASES["stalled"] = (stalled, LISTENING[44], socket.AF_INET)
CASES["lossy"] = (lossy, LOSSY[0], socket.AF_INET)
CASES["faded"] = (faded, FADING[0], socket.AF_INET)
say([run(name, *case) for name, case in CASES.items()])
