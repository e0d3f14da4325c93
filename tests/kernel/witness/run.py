"""Have one run of the workload recorded twice, filtered and not, under one witness, and hold each recording against what that saw."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kernel import harness
from tests.kernel.harness import Recording, launched, recorder
from tests.kernel.net import Program, namespace, tcp_program
from tests.kernel.witness import perf, recorded, rules, strace, strace_log
from tests.kernel.witness.agreement import Agreement, Rule, compare
from tests.kernel.witness.facts import Ends, Fact, kind
from tests.kernel.witness.recorded import Recorded

PATIENCE_SECONDS = max(600.0, harness.PATIENCE_SECONDS)


@dataclass(frozen=True, slots=True)
class Witness:
    command: Sequence[str]
    """What the workload's command is put behind; ``-o FILE`` comes between them."""
    facts: Callable[[Path, int], Iterable[Fact]]
    """What it says in a file of the process with this id, and of all that came of that."""
    visible: Callable[[Fact], Fact | None]
    """What it can tell of a fact."""
    rules: Callable[[Path, Collection[Ends] | None, int, Collection[Fact]], tuple[Rule, ...]]
    """Differences that have to be, as :func:`rules.of_strace` and :func:`rules.of_perf` have them."""

    def version(self) -> str:
        """Return how the program calls its version."""
        return subprocess.run([self.command[0], "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0].split()[-1]


WITNESSES = {
    "strace": Witness(
        strace_log.COMMAND,
        lambda path, _: strace.facts(strace_log.read(path)),
        rules.same,
        lambda folder, unended, lost, _: rules.of_strace(folder, unended, lost),
    ),
    "perf": Witness(perf.COMMAND, perf.facts, perf.visible, lambda _, unended, __, others: rules.of_perf(unended, others)),
}


@dataclass(frozen=True)
class Run:
    """What one run of the workload came to."""

    seen: Counter[str]
    """Facts of the witness, by kind."""
    whole: Agreement
    """The recording of the whole machine, against the witness."""
    followed: Agreement
    """That of the workload alone (--follow-children), against the witness."""
    lost: int
    """Events that one of them has lost."""


@contextmanager
def no_idle_cpu() -> Iterator[None]:
    """Let no CPU idle: perf may be blind to what soft interrupts do then (seen on 6.18: of 41 changes of state, all 26 of one CPU)."""
    with ExitStack() as stack:
        for cpu in sorted(os.sched_getaffinity(0)):
            assert stack.enter_context(Program(tcp_program("spins", cpu))).hear()
        yield


def run(names: Sequence[str], folder: Path, workers: int, rounds: int) -> dict[str, Run]:
    """Run the workload once under the witnesses called ``names``, the one inside of the other."""
    files, logs = folder / "files", {name: folder / name for name in names}
    files.mkdir()
    workload = tcp_program("witnessed", files, workers, rounds)
    watched = [word for name, log in logs.items() for word in (*WITNESSES[name].command, "-o", log)]
    with no_idle_cpu(), namespace() as place, recorder(folder / "whole.bpftape") as whole:
        with launched(folder / "followed.bpftape", "--follow-children", command=place.inside(*watched, *workload)) as followed:
            root = int(followed.output.wait_for(r"^\d+$").split()[0])
            assert followed.process.wait(PATIENCE_SECONDS) == 0, followed.said()
        recordings = [whole.stop(), Recording(followed.path)]
    told = [recorded.read(recording, workload[workload.index("-sS") - 1 :]) for recording in recordings]
    lost = sum(recording.lost(table) for recording in recordings for table in recorded.TABLES)
    return {name: _compared(WITNESSES[name], list(WITNESSES[name].facts(log, root)), told, files, lost) for name, log in logs.items()}


def _compared(witness: Witness, seen: Sequence[Fact], told: Sequence[Recorded], files: Path, lost: int) -> Run:
    facts = [[fact for fact in map(witness.visible, each.facts) if fact] for each in told]
    whole, followed = (
        compare(seen, facts[number], witness.rules(files, unended, told[number].lost, set(facts[1 - number]) - set(seen)))
        for number, unended in enumerate((None, told[1].unended))
    )
    return Run(Counter(map(kind, seen)), whole, followed, lost)
