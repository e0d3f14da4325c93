"""What the tcp programs share: ports that have a fate in the namespaces of tests/kernel/net.py, and ways to say what was tried and seen.

The programs are run as modules from the top of the source tree, with the standard library alone.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

REFUSED = range(5000, 5100)  # nobody listens
DROPPED = range(5100, 5200)
REJECTED = range(5200, 5300)  # by ICMP, host unreachable; on loopback that comes while connect(2) has the socket locked
LATE = range(5300, 5400)  # the first SYN to each of them is dropped, the next one comes a second later
LATE_REJECTED = range(5500, 5600)  # the same, but the next one is rejected
LOSSY = range(5600, 5700)  # each fifth packet with more than a little data is dropped
FADING = range(5700, 5800)  # all of those are
LISTENING = range(5400, 5500)  # for those who want to listen

Attempt = dict[str, Any]


def boottime_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def connect(sock: socket.socket, address: Any) -> int:
    """Return what connect(2) says: 0 or an errno. Python goes on with a blocking connect that a signal interrupts."""
    return sock.connect_ex(address)


def resolve(host: str, port: int) -> tuple[int, Any]:
    """Return family and address of a number in text, its zone included."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return found[0][0], found[0][4]


def attempt(case: str, dport: int, outcome: str, errno: int | None, **further: Any) -> Attempt:
    """Return one attempt to connect, by the thread that calls this, as it should be in ``tcp_connect``."""
    return {"case": case, "dport": dport, "outcome": outcome, "errno": errno, "pid": os.getpid(), "tid": threading.get_native_id(), **further}


def side_by_side(cases: list[Callable[[], list[Attempt]]]) -> list[Attempt]:
    """Run each case in a thread of its own, all at once, and return what they tried. An exception in one of them ends the program."""
    tried: list[Attempt] = []

    def run(case: Callable[[], list[Attempt]]) -> None:
        try:
            tried.extend(case())
        except BaseException as error:
            print(f"{case}: {error!r}", file=sys.stderr)
            os._exit(1)

    threads = [threading.Thread(target=run, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tried


def say(value: object) -> None:
    """Print a line of JSON for the test."""
    print(json.dumps(value), flush=True)


def await_line() -> str:
    """Wait until the test says something, or ends the input."""
    return sys.stdin.readline().strip()
