"""What tests/kernel/witness/ has recorded and watched: processes and TCP connections of every kind, again and again, side by side.

``witnessed FOLDER WORKERS ROUNDS``: says its process id, and ends when everything has that came of it. It wants a namespace of tests/kernel/net.py.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.kernel.programs import witnessed_processes, witnessed_tcp
from tests.kernel.programs.attempts import say

PROGRAMS = Path(__file__).parent


def forked(work: Callable[..., None], *arguments: object) -> int:
    """Run ``work`` in a process of its own; return its id."""
    pid = os.fork()
    if not pid:
        try:
            work(*arguments)
        except BaseException as error:
            sys.stderr.write(f"{work}: {error!r}\n")
            os._exit(70)
        os._exit(0)
    return pid


def others(rounds: int) -> None:
    """Run the programs of other tests that make tasks and connects in odd ways: some once, since their ports are fixed, some with each round."""
    alone = [[sys.executable, "-IS", str(PROGRAMS / f"{name}.py"), *words.split()] for name, words in witnessed_processes.PROGRAMS]
    shared = [[sys.executable, "-sS", "-m", f"tests.kernel.programs.{name}"] for name in witnessed_tcp.PROGRAMS]
    for command in shared + alone * max(1, rounds // 4):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)


def worker(number: int, folder: Path, rounds: int, addresses: witnessed_tcp.Addresses) -> None:
    for turn in range(number, number + rounds):
        witnessed_processes.everything(folder, turn)
        witnessed_tcp.everything(addresses, turn)


def serve(listeners: Sequence[socket.socket], take: Callable[[socket.socket], None], held: int) -> None:
    os.close(held)
    witnessed_tcp.serve(listeners, take)


def main() -> None:
    folder, workers, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    say(os.getpid())
    witnessed_processes.make_files(folder)
    listeners, deaf = witnessed_tcp.listen()
    alive, held = os.pipe()  # held by whoever works, orphans among them
    servers = [forked(serve, listeners, take, held) for take in (witnessed_tcp.accept, witnessed_tcp.accept4)]
    addresses = witnessed_tcp.Addresses(listeners, deaf)
    working = [forked(worker, number, folder, rounds, addresses) for number in range(workers)]
    working.append(forked(others, rounds))
    os.close(held)
    statuses = [os.waitpid(pid, 0)[1] for pid in working]
    os.read(alive, 1)  # returns when the last of them has gone
    for pid in servers:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    sys.exit(any(statuses))


main()
