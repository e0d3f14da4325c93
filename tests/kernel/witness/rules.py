"""Every difference between a recording and a witness that has to be, and why. What none of these explains is a fault."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from tests.kernel.witness.agreement import Form, Rule, nothing
from tests.kernel.witness.facts import Close, Connect, Ends, Exec, Fact

ARGV_BYTES = 4_096


def same(fact: Fact) -> Fact:
    """Return the fact as it is."""
    return fact


def _through_interpreter(folder: Path) -> Form:
    def form(fact: Fact) -> Fact | None:
        path = folder / fact.filename if isinstance(fact, Exec) else None
        if not isinstance(fact, Exec) or not fact.argv or not path or not path.is_file():
            return None
        with path.open("rb") as file:
            first = file.readline()
        if not first.startswith(b"#!"):
            return None
        return replace(fact, argv=(*first[2:].decode().strip().split(maxsplit=1), fact.filename, *fact.argv[1:]))

    return form


def _by_descriptor(fact: Fact) -> Fact | None:
    match = re.fullmatch(r"descriptor (\d+)", fact.filename) if isinstance(fact, Exec) else None
    return replace(fact, filename=f"/dev/fd/{match[1]}") if match and isinstance(fact, Exec) else None


def _first_arguments(fact: Fact) -> Fact | None:
    if not isinstance(fact, Exec) or not fact.argv:
        return None
    data = b"".join(word.encode() + b"\0" for word in fact.argv)
    if len(data) <= ARGV_BYTES:
        return None
    return replace(fact, argv=tuple(data[:ARGV_BYTES].decode().rstrip("\0").split("\0")))


def _without_local(fact: Fact) -> Fact | None:
    return replace(fact, local=None) if isinstance(fact, Connect) and fact.outcome == "failed" else None


def _nobodys(fact: Fact) -> Fact | None:
    return replace(fact, process=None, tid=None) if isinstance(fact, Close) and fact.direction == "inbound" else None


def _is_nobodys(fact: Fact) -> Fact | None:
    return fact if isinstance(fact, Close) and fact.process is None else None


def _filtered(unended: Collection[Ends] | None) -> Rule:
    """Return the rule for what a filtered recording has not; ``unended`` are those whose end it should have, but has not."""

    def form(fact: Fact) -> Fact | None:
        is_excused = unended is not None and isinstance(fact, Close) and fact.direction == "inbound" and (fact.local, fact.peer) not in unended
        return fact if is_excused else None

    return Rule("nobody's, filtered", "with a filter by process a connection that ends while it is nobody's has no row", form, is_of_one=True)


def of_strace(folder: Path, unended: Collection[Ends] | None, lost: int) -> tuple[Rule, ...]:
    """Return the rules for strace; paths of programs may be relative to ``folder``. ``unended`` is given for a filtered recording.

    ``lost`` are the ends of connections that the recording counts as lost.
    """
    return (
        Rule(
            "interpreter",
            "strace shows the arguments given to execve(2); the program of a script gets those of its first line and the script's path",
            _through_interpreter(folder),
            same,
        ),
        Rule(
            "descriptor",
            "execveat(2) by descriptor has no file name; the kernel calls it /dev/fd/N",
            _by_descriptor,
            same,
        ),
        Rule(
            "4096 bytes",
            "a recording keeps the first 4096 bytes of arguments, and says that there were more (argv_truncated)",
            _first_arguments,
            same,
        ),
        Rule(
            "local end",
            "a failed connect whose socket was not bound leaves no local end to ask for; the recording has that of the SYN",
            lambda fact: _without_local(fact) if isinstance(fact, Connect) and not fact.local else None,
            _without_local,
        ),
        Rule(
            "reset before",
            "a connection that is reset before it is accepted ends while it is nobody's",
            _nobodys,
            _is_nobodys,
        ),
        Rule(
            "not accepted",
            "no system call tells of the server's end of a connection that nobody has accepted",
            nothing,
            _is_nobodys,
            is_of_one=True,
        ),
        _filtered(unended),
        Rule(
            "not told",
            "of some sockets the kernel tells no program, and not perf either, that they are closed; the recording counts their ends as lost",
            lambda fact: fact if isinstance(fact, Close) else None,
            is_of_one=True,
            most=lost,
        ),
    )


def of_perf(unended: Collection[Ends] | None, others: Collection[Fact] = ()) -> tuple[Rule, ...]:
    """Return the rules for perf. ``unended`` is given for a filtered recording, ``others`` are what the other recording has, and perf has not."""
    return (
        Rule(
            "no SYN",
            "a connect that fails before it sends anything changes no state of its socket: no tracepoint tells of it but that of the system call",
            nothing,
            lambda fact: fact if isinstance(fact, Connect) and not fact.outcome and not fact.local else None,
            is_of_one=True,
        ),
        _filtered(unended),
        Rule(
            "not shown",
            "perf has no sample of a change of state, and counts none as lost; both recordings have the end that it was",
            nothing,
            lambda fact: fact if isinstance(fact, Close) and fact in others else None,
            is_of_one=True,
            most=1,
        ),
    )
