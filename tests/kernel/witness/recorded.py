"""What a recording has of the workload, as facts: the rows of its first process and of all that came of that, and of nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.kernel.harness import Recording, Row
from tests.kernel.witness.facts import Accept, Clone, Close, Connect, End, Ends, Exec, Exit, Fact, Process, end

TABLES = ("clone", "exec", "exit", "tcp_connect", "tcp_accept", "tcp_close")
Key = tuple[int, int]
"""pid and start_ns."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording has of the workload."""

    facts: list[Fact]
    unended: frozenset[Ends]
    """Of connections that were open when they were accepted, and whose end is not there."""
    lost: int
    """Ends of connections that it counts as lost, be they of the workload or not."""


def read(recording: Recording, command: Sequence[str]) -> Recorded:
    """Read what a recording has of the process that ran ``command``, and of its descendants."""
    rows = {table: recording.table(table) for table in TABLES}
    (root,) = {_key(row) for row in rows["exec"] if row["argv"] == command}
    processes = _processes(root, rows["clone"])
    facts = [fact for table in TABLES for row in rows[table] if _key(row) in processes for fact in _facts(table, row, processes)]
    tried = {(fact.peer, fact.local) for fact in facts if isinstance(fact, Connect)}
    facts += [fact for fact in map(_unowned, rows["tcp_close"]) if fact and (fact.local, fact.peer) in tried]
    opened = Counter((_end(row, "s"), _end(row, "d")) for row in rows["tcp_accept"] if not row["is_closed"])
    ended = Counter((_end(row, "s"), _end(row, "d")) for row in rows["tcp_close"] if row["pid"] and row["direction"] == "inbound")
    return Recorded(facts, frozenset(opened - ended), recording.lost("tcp_close"))


def _unowned(row: Row) -> Close | None:
    """Return the end of a connection that no process was known to have: it was not accepted, or not yet."""
    return Close(None, None, row["direction"], _end(row, "s"), _end(row, "d")) if row["pid"] is None and row["sport"] else None


def _key(row: Row) -> Key:
    return row["pid"], row["start_ns"]


def _processes(root: Key, clones: Sequence[Row]) -> dict[Key, Process]:
    children = defaultdict(list)
    for row in clones:
        if not row["is_thread"]:
            children[_key(row)].append((row["child_pid"], row["child_start_ns"]))
    found, wanted = [], [root]
    while wanted:
        key = wanted.pop()
        found.append(key)
        wanted += children[key]
    uses: dict[int, int] = defaultdict(int)
    processes = {}
    for pid, start_ns in sorted(found, key=lambda key: key[1]):
        processes[pid, start_ns] = Process(pid, uses[pid])
        uses[pid] += 1
    return processes


def _end(row: Row, side: str) -> End:
    return end(row[f"{side}addr"], row[f"{side}port"])


def _facts(table: str, row: Row, processes: dict[Key, Process]) -> Iterator[Fact]:
    process = processes[_key(row)]
    if table == "clone":
        child = None if row["is_thread"] else processes[row["child_pid"], row["child_start_ns"]]
        yield Clone(process, row["tid"], row["child_tid"], child, row["clone_flags"])
    elif table == "exec":
        yield Exec(process, row["filename"], tuple(row["argv"]))
    elif table == "exit":
        yield Exit(process, row["exit_code"], row["signal"], row["core_dumped"])
    elif table == "tcp_connect":
        local = _end(row, "s") if row["sport"] and row["saddr"] else None
        yield Connect(process, row["tid"], local, _end(row, "d"), row["outcome"], row["errno"])
    elif table == "tcp_accept":
        yield Accept(process, row["tid"], _end(row, "s"), _end(row, "d"))
    else:
        yield Close(process, row["tid"], row["direction"], _end(row, "s"), _end(row, "d"))
