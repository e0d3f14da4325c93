"""Networks that tests make themselves: namespaces in which connects meet every fate, and programs in them. Nothing outlives its ``with``.

What happened is what the programs saw: errno, getsockname, getpeername, their own clocks.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.harness import GIVES_WAY, PATIENCE_SECONDS, Recording, Row
from tests.kernel.programs.attempts import DROPPED, FADING, LATE, LATE_REJECTED, LOSSY, REJECTED
from tests.support import REPO

TABLES = ("tcp_connect", "tcp_accept", "tcp_close", "tcp_socket")
EVENTS = TABLES[:3]

# Waiting for what never comes shall be over soon: a SYN is sent twice, a neighbour asked for once.
_SETTINGS = {"net.ipv4.tcp_syn_retries": 1, "net.ipv4.tcp_fastopen": 3}
_CABLE_SETTINGS = {
    "net.ipv6.conf.{}.accept_dad": 0,
    "net.ipv4.neigh.{}.mcast_solicit": 1,
    "net.ipv4.neigh.{}.retrans_time_ms": 100,
    "net.ipv6.neigh.{}.mcast_solicit": 1,
    "net.ipv6.neigh.{}.retrans_time_ms": 100,
}
_FATES = f"""
table inet fates {{
    set late {{
        type inet_service
        size 65535
        flags dynamic
    }}
    chain input {{
        type filter hook input priority 0
        tcp dport {DROPPED[0]}-{DROPPED[-1]} drop
        tcp dport {{ {LATE[0]}-{LATE[-1]}, {LATE_REJECTED[0]}-{LATE_REJECTED[-1]} }} tcp dport != @late add @late {{ tcp dport }} drop
        tcp dport {{ {REJECTED[0]}-{REJECTED[-1]}, {LATE_REJECTED[0]}-{LATE_REJECTED[-1]} }} reject with icmpx host-unreachable
        tcp dport {LOSSY[0]}-{LOSSY[-1]} meta length > 200 numgen inc mod 5 2 drop
        tcp dport {FADING[0]}-{FADING[-1]} meta length > 200 drop
    }}
}}
"""
_numbers = itertools.count()

HAS_MPTCP = Path("/proc/sys/net/mptcp").is_dir()
ONLY_MPTCP = pytest.mark.skipif(not HAS_MPTCP, reason="this kernel has no MPTCP")


def command(*words: object, text: str | None = None) -> str:
    """Run a program of the distribution and return what it prints; fail with what it says where it fails."""
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(
        [str(word) for word in words], input=text, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def tcp_program(name: str, *arguments: object) -> list[str]:
    """Return the command line of one of the programs that share ``programs/attempts.py``."""
    return ["/usr/bin/env", "-C", str(REPO), sys.executable, "-sS", "-m", f"tests.kernel.programs.{name}", *map(str, arguments)]


@dataclass(frozen=True)
class Namespace:
    """A network namespace of its own."""

    name: str

    @property
    def inode(self) -> int:
        """What the column ``net_ns`` has."""
        return Path("/run/netns", self.name).stat().st_ino

    def inside(self, *words: object) -> list[str]:
        """Return the command line that runs another one in here; the process stays the same through it."""
        return ["/usr/bin/nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, words)]

    def command(self, *words: object, text: str | None = None) -> str:
        """Run a program of the distribution in here."""
        return command(*self.inside(*words), text=text)

    def ip(self, *words: object) -> str:
        """Run ip(8) in here."""
        return command("ip", "-n", self.name, *words)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Set sysctl(8) variables."""
        writes = "\n".join(f"echo '{value}' > /proc/sys/{name.replace('.', '/')}" for name, value in settings.items())
        self.command("/bin/sh", "-ec", writes)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a network namespace whose loopback is up and where ports have the fates of ``programs/attempts.py``; remove it."""
    made = Namespace(f"bpftape-{os.getpid()}-{next(_numbers)}")
    command("ip", "netns", "add", made.name)
    try:
        made.configure(_SETTINGS)
        made.ip("link", "set", "lo", "up")
        made.command("nft", "-f", "-", text=_FATES)
        yield made
    finally:
        command("ip", "netns", "del", made.name)


def add_cable(one: Namespace, other: Namespace) -> None:
    """Lay a cable between two namespaces, or from one to itself: ``left`` has 10.77.0.1 and fd77::1, ``right`` 10.77.0.2 and fd77::2."""
    one.ip("link", "add", "left", "type", "veth", "peer", "name", "right", "netns", other.name)
    for place, link, number in ((one, "left", 1), (other, "right", 2)):
        place.configure({name.format(link): value for name, value in _CABLE_SETTINGS.items()})
        place.ip("address", "add", f"10.77.0.{number}/24", "broadcast", "10.77.0.255", "dev", link)
        place.ip("address", "add", f"fd77::{number}/64", "dev", link, "nodad")
        place.ip("link", "set", link, "up")


def bare_cable(one: Namespace, other: Namespace) -> None:
    """Lay a cable on which nothing is said but what a test says: no addresses, and no IPv6."""
    for place in (one, other):
        place.configure({"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1})
    one.ip("link", "add", "left", "type", "veth", "peer", "name", "right", "netns", other.name)
    for place, link in ((one, "left"), (other, "right")):
        place.ip("link", "set", link, "up")


class Program:
    """A program under way that says lines of JSON, and that goes on when it is told to; killed if it is still there in the end."""

    def __init__(self, words: Sequence[str]) -> None:
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def hear(self) -> Any:
        """Return the next thing that it says."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} has ended: {self.process.wait(PATIENCE_SECONDS)}"
        return json.loads(line)

    def tell(self, text: str = "") -> None:
        """Let it go on."""
        assert self.process.stdin
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def ask(self, text: str = "") -> Any:
        """Let it go on, and return what it says next."""
        self.tell(text)
        return self.hear()

    def end(self) -> int:
        """End its input and wait for its end; return its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        with self.process:  # closes the pipes
            pass


def of(recording: Recording, table: str, /, **wanted: Any) -> list[Row]:
    """Return the rows of a table as :meth:`Recording.rows` does, in the order of their time."""
    return sorted(recording.rows(table, **wanted), key=lambda row: int(row["ts_ns"]))


def only(rows: Sequence[Row]) -> Row:
    """Return the one row that there is."""
    assert len(rows) == 1, rows
    return rows[0]


def assert_complete(recording: Recording) -> None:
    """Hold that every table of the tracer was seen from begin to end, and lost nothing."""
    for table in TABLES:
        coverage = recording.rows("coverage", table=table)
        assert coverage, table
        assert all(row["attached"] for row in coverage), table
        if not GIVES_WAY or table != "tcp_connect":  # there some count as lost that are not
            assert sum(row["lost"] for row in coverage) == 0, table


def told(recording: Recording, attempts: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return each attempt with its row of ``tcp_connect``: all rows of those processes, each found by process, peer's port and order."""
    rows = of(recording, "tcp_connect", pid={attempt["pid"] for attempt in attempts})
    by_port: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        by_port.setdefault((row["pid"], row["dport"]), []).append(row)
    pairs = []
    for attempt in attempts:
        found = by_port.get((attempt["pid"], attempt["dport"]), [])
        assert found, f"no row of {attempt}"
        pairs.append((attempt, found.pop(0)))
    assert not any(by_port.values()), f"rows of no attempt: {by_port}"
    return pairs


def assert_told(recording: Recording, attempts: Sequence[Row]) -> None:
    """Hold that there is exactly one row of each attempt, and hold it against what the program saw."""
    for attempt, row in told(recording, attempts):
        for name in row.keys() & attempt.keys():
            assert row[name] == attempt[name], f"{name} of {attempt}: {row}"
        assert (row["latency_ns"] is None) == (row["outcome"] != "connected"), row
