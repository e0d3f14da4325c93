"""Connect to each (case, host, port, bound) of the first argument, JSON, in a blocking way, and say what connect(2) returned.

With ``together`` as second argument each is tried by a thread of its own, all at once; else one after the other. All sockets stay open until
the program is told to end.
"""

import errno
import json
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial

from tests.kernel.programs.attempts import Attempt, attempt, await_line, boottime_ns, connect, resolve, say, side_by_side

kept: list[socket.socket] = []


def one(given: tuple[str, str, int, bool], ready: Callable[[], object]) -> list[Attempt]:
    case, host, port, bound = given
    family, address = resolve(host, port)
    sock = socket.socket(family, socket.SOCK_STREAM)
    kept.append(sock)
    if bound:
        sock.bind(("", 0))
    name = sock.getsockname()
    known = bound  # once it has failed the kernel does not tell what port it chose
    ready()
    before_ns = boottime_ns()
    error = connect(sock, address)
    after_ns = boottime_ns()
    ends = {"daddr": address[0].partition("%")[0].removeprefix("::ffff:"), "scope_id": address[3] or None if len(address) > 2 else None}
    if error == 0:
        name, known = sock.getsockname(), True
        ends["saddr"] = name[0].partition("%")[0].removeprefix("::ffff:")
        ends["daddr"] = sock.getpeername()[0].partition("%")[0].removeprefix("::ffff:")
    if known:
        ends["sport"] = name[1]
    return [attempt(case, port, "failed" if error else "connected", error, before_ns=before_ns, after_ns=after_ns, **ends)]


cases = json.loads(sys.argv[1])
if sys.argv[2:] == ["together"]:
    barrier = threading.Barrier(len(cases))
    tried = side_by_side([partial(one, case, barrier.wait) for case in cases])
else:
    tried = [made for case in cases for made in one(case, lambda: None)]
assert all(made["errno"] == 0 or made["errno"] in errno.errorcode for made in tried)
say(tried)
await_line()
