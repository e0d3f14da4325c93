"""A recorder killed at any moment leaves all that it had closed, nothing in the kernel, no process, and a recording that says what is missing."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.kernel.bpf_ids import everything, held, name_of
from tests.kernel.harness import Recording, Running, Spawner, eventually, launched
from tests.kernel.left import Load, assert_says_what_is_missing, entered
from tests.kernel.net import Namespace, add_cable, command, namespace
from tests.kernel.pings import xdp_of

SEED = "BPFTAPE_SEED"
# When a kill comes: at most so many seconds after the beginning of what is named.
MOMENTS = {"recording": 1.5, "attaching": 1.2, "ending": 0.25, "segments are closed": 1.0}
DROPS = ("--drop", "icmp@right")
_TOOL = {"prog_id": "prog", "map_id": "map", "link_id": "link"}


@dataclass(frozen=True)
class Kill:
    """One of the moments, drawn from the seed."""

    moment: str
    seconds: float
    drops: bool
    """With a program on an interface."""
    overwrites: bool
    """With a recording in its place."""


def draw(count: int) -> list[Kill]:
    """Draw so many moments, of each kind about as many, and say how to have the same ones again."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(1 << 32))
    print(f"these moments again: {SEED}={seed}")
    dice = random.Random(seed)
    return [
        Kill(moment, dice.uniform(0, MOMENTS[moment]), drops=number == 0 or dice.random() < 0.5, overwrites=number == 1 or dice.random() < 0.3)
        for number, moment in enumerate(islice(cycle(MOMENTS), count))
    ]


@pytest.fixture
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace() as left, namespace() as right:
        add_cable(left, right)
        yield left, right


def told(kill: Kill, running: Running, names: set[str]) -> bytes:
    """Wait for the moment; return the lines of the manifest that were there just before. Take what objects are called into ``names``."""
    if kill.moment != "attaching":
        running.errors.wait_for("^recording ")
        names |= {name for name in (name_of(*item) for item in held(running.pid)) if name}
    if kill.moment == "segments are closed":
        eventually("rows are in closed segments", lambda: b'"exec/' in entered(running.path))
    if kill.moment == "ending":
        running.process.terminate()
    time.sleep(kill.seconds)
    return entered(running.path)


def assert_nothing_is_in_the_kernel(before: set[tuple[str, int]], names: set[str], right: Namespace) -> None:
    """Hold that no object of these names is there that was not before; others of the machine may come and go."""
    assert xdp_of(right, "right") is None
    # The kernel frees maps and programs behind a grace period of RCU.
    eventually("all BPF objects are gone", lambda: not {item for item in everything() - before if name_of(*item) in names})
    if by_bpftool() is not None:
        eventually("bpftool says the same", lambda: not {item for item, name in (by_bpftool() or {}).items() if item not in before and name in names})


def by_bpftool() -> dict[tuple[str, int], str | None] | None:
    """Return what bpftool lists, with the names of programs and maps; None where it is not installed."""
    if not shutil.which("bpftool", path=os.environ["PATH"] + ":/usr/sbin"):
        return None
    found: dict[tuple[str, int], str | None] = {}
    for kind, word in _TOOL.items():
        rows = json.loads(command("bpftool", "-j", word, "show") or "[]")
        found |= {(kind, row["id"]): row.get("name") or found.get(("prog_id", row.get("prog_id"))) for row in rows}
    return found


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.long)])
def test_a_kill_at_any_moment_costs_what_was_open_and_leaves_nothing_behind(tmp_path: Path, cable: tuple[Namespace, Namespace], count: int) -> None:
    _, right = cable
    names: set[str] = set()
    old: Path | None = None
    for number, kill in enumerate(draw(count)):
        path = tmp_path / f"{number}.bpftape"
        if kill.overwrites and old:
            old.rename(path)
        replaced = entered(path)
        before = everything()
        options = ["--segment-seconds", 1, *(DROPS if kill.drops else ()), *(["--force"] if kill.overwrites else [])]
        with Spawner() as spawner, Load(spawner) as load, launched(path, *options, wrapper=right.inside()) as running:
            seen = told(kill, running, names)
            running.process.kill()
            running.await_end()
            eventually("no process is left", partial(is_gone, running.pid))
        assert_nothing_is_in_the_kernel(before, names, right)
        if replaced and entered(path) == replaced:
            Recording(path).assert_consistent()
            left = "the recording that was there before"
        else:
            left = assert_says_what_is_missing(path, b"" if seen == replaced else seen, load)
        print(f"{number:2} {kill.moment} + {kill.seconds:.3f} s{', dropping' * kill.drops}{', overwriting' * kill.overwrites}: {left}")
        old = path if path.exists() and Recording(path).manifest() else old
