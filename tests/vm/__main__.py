"""Run the kernel's tests on stock kernels in virtual machines: ``make vm-test``, or ``python -m tests.vm [KERNEL...] [-- PYTEST_ARGUMENT...]``."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from tests.kernel.witness import results as witness
from tests.vm.disks import Unmade
from tests.vm.guests import Guest, chosen
from tests.vm.machine import Run, run, stopping
from tests.vm.results import as_json, keep, known

AT_ONCE = 2
SELECTION = ("-v", "--durations=0", "-p", "tests.vm.selection", "tests/kernel")
_speaking, _keeping = threading.Lock(), threading.Lock()


def _say(guest: Guest, text: str) -> None:
    with _speaking:
        print(f"{guest.name:>6}: {text}", flush=True)


def _run(guest: Guest, arguments: list[str]) -> Run:
    """Run one guest, and keep what came of it at once: the others may not come to their end."""
    one = run(guest, (*guest.words, *(arguments or SELECTION)), lambda text: _say(guest, text))
    for outcome in one.outcomes:
        if not outcome.passed:
            _say(guest, f"{outcome.file}::{outcome.name}: {outcome.why}")
    if one.outcomes and not os.environ.get("CI"):
        with _keeping:
            keep(guest.name, as_json(one.release, guest.land, one.seconds, one.outcomes), is_all=not (arguments or one.why))
            for outcome in one.outcomes:
                if witness.PROPERTY in outcome.said:
                    witness.keep(*json.loads(outcome.said[witness.PROPERTY]))
    return one


def _summary(runs: list[Run]) -> Table:
    table = Table("kernel", "Debian", "passed", "failed", "seconds", "console")
    for one in runs:
        passed = sum(outcome.passed for outcome in one.outcomes)
        failed = one.why or str(len(one.outcomes) - passed)
        table.add_row(one.release, one.guest.land, str(passed), failed, f"{one.seconds:.0f}", str(one.log))
    return table


def main(words: list[str]) -> int:
    """Run the guests that are named; return the exit code."""
    names, arguments = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    try:
        lasted = {name: guest["seconds"] for name, guest in known().items()}
        guests = sorted(chosen(names), key=lambda guest: -lasted.get(guest.name, 0))  # so that no long one is left alone at the end
    except ValueError as error:
        print(f"vm-test: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                runs = list(pool.map(lambda guest: _run(guest, arguments), guests))
            finally:  # Ctrl-C, too: a guest would go on until its end
                stopping.set()
    except KeyboardInterrupt:
        return 130
    except Unmade as error:
        print(f"vm-test: {error}", file=sys.stderr)
        return 1
    Console(width=max(120, Console().width)).print(_summary(runs))
    print(f"vm-test: {time.monotonic() - begun:.0f} s in all")
    return 0 if all(one.is_good for one in runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
