"""ping(8) as ground truth, and which XDP programs ip(8) sees on an interface."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import dataclass

from tests.kernel.harness import PATIENCE_SECONDS, Row
from tests.kernel.net import Namespace, command


@dataclass(frozen=True)
class Pings:
    """What ping(8) said: how many it sent, and the numbers of those that were answered."""

    sent: int
    answered: frozenset[int]


def _read(text: str) -> Pings:
    sent = re.search(r"^(\d+) packets transmitted", text, re.MULTILINE)
    assert sent, text
    return Pings(int(sent[1]), frozenset(int(number) for number in re.findall(r"bytes from .* icmp_seq=(\d+) ", text)))


def ping(place: Namespace | None, address: str, count: int) -> Pings:
    """Send ``count`` pings, one each 10 ms, and wait a second for the last answer."""
    words = ["ping", "-n", "-c", str(count), "-i", "0.01", "-W", "1", address]
    done = subprocess.run(place.inside(*words) if place else words, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    return _read(done.stdout)


class Pinging:
    """Pings sent without end, one each 20 ms."""

    def __init__(self, place: Namespace, address: str) -> None:
        words = place.inside("/usr/bin/env", "ping", "-n", "-i", "0.02", "-W", "1", address)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def end(self) -> Pings:
        """Stop as Ctrl-C does, and say how it went."""
        self._process.send_signal(signal.SIGINT)
        return _read(self._process.communicate(timeout=PATIENCE_SECONDS)[0])


def xdp_of(place: Namespace | None, interface: str) -> Row | None:
    """Return what ``ip -j link`` says of the XDP program on an interface; None where there is none."""
    said = command(*([] if place is None else place.inside("/usr/bin/env")), "ip", "-j", "-d", "link", "show", "dev", interface)
    (link,) = json.loads(said)
    xdp: Row | None = link.get("xdp")
    return xdp
