"""The reports that follow processes: which made which, as what program and user, and into which histogram row they fall."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recording
from analyzer.report import bundled
from analyzer.sandbox import open_sandbox
from tests.rows import Row, read_rows, write_recording

SECOND = 1_000_000_000
START = 1000 * SECOND
CANNED = read_rows()
META = {table: CANNED[table] for table in ("recording", "probe", "clock", "coverage")}


def results(folder: Path, report: str, events: list[tuple[str, Row]], *parameters: str) -> list[dict[str, Any]]:
    """Return the rows of a report over a recording that holds ``events`` and nothing else."""
    rows = {table: [row for name, row in events if name == table] for table in dict(events)}
    path = write_recording(folder / f"{uuid.uuid4()}.bpftape", META | rows)
    with open_sandbox([open_recording(path)]) as sandbox:
        found = bundled(report)
        result = sandbox.execute(sandbox.prepare(found.sql, report), report, found.values(list(parameters)))
        return [dict(zip((field.name for field in result.fields), values, strict=True)) for batch in result.batches for values in batch]


def event(table: str, at_s: float, pid: int, **values: Any) -> tuple[str, Row]:
    """Return a row of ``table`` by the process ``pid``, which was born as many nanoseconds after the boot."""
    task = {"pid": pid, "tid": pid, "ppid": 1, "start_ns": pid, "comm": f"p{pid}", "uid": 0}
    return table, CANNED[table][0] | task | {"ts_ns": START + round(at_s * SECOND)} | values


def fork(at_s: float, pid: int, child: int, **values: Any) -> tuple[str, Row]:
    own = {"child_pid": child, "child_tid": child, "child_start_ns": child, "is_thread": False, "clone_flags": 17}
    return event("clone", at_s, pid, **own | values)


def ended(at_s: float, pid: int, **values: Any) -> tuple[str, Row]:
    return event("exit", at_s, pid, **{"exit_code": 0, "signal": None, "core_dumped": False, "duration_ns": SECOND} | values)


def test_descendants_count_below_parents_that_have_ended(tmp_path: Path) -> None:
    events = [fork(0.1, 10, 20), fork(0.2, 20, 30), ended(0.3, 20), fork(1.1, 30, 40), fork(1.2, 30, 41), fork(1.3, 30, 42)]
    events += [event("clone", 1.4, 30, child_pid=30, child_tid=31, child_start_ns=30, is_thread=True), fork(1.5, 99, 100)]
    found = results(tmp_path, "descendants", events)
    names = ("pid", "children", "descendants", "levels", "peak", "peak_s")
    assert [tuple(row[name] for name in names) for row in found] == [(10, 1, 5, 3, 3, 1), (20, 1, 4, 2, 3, 1), (30, 3, 3, 1, 3, 1)]
    assert [row["pid"] for row in results(tmp_path, "descendants", events, "min_descendants=1")] == [10, 20, 30, 99]


def test_a_change_of_user_is_seen_at_the_first_event_after_it(tmp_path: Path) -> None:
    events = [
        fork(0.1, 10, 20, uid=0),  # the child begins as its maker
        event("exec", 0.2, 20, uid=1000, argv=["sh"]),
        event("tcp_connect", 0.9, 20, uid=1000, syn_ns=START + SECOND // 4),  # decided late, but it called as who it was then
        fork(0.5, 20, 30, uid=1000),
        ended(0.6, 20, uid=1001),
        ended(0.7, 30, uid=1000),
    ]
    found = results(tmp_path, "uid_changes", events)
    assert [(row["at_s"], row["pid"], row["uid_before"], row["uid"], row["seen_in"], row["argv"]) for row in found] == [
        (0.2, 20, 0, 1000, "exec", ["sh"]),
        (0.6, 20, 1000, 1001, "exit", None),
    ]


def test_a_connect_belongs_to_the_program_that_the_process_was_when_it_called(tmp_path: Path) -> None:
    there = {"daddr": "93.184.216.34", "daddr_scope": "global", "outcome": "connected", "dport": 443}
    events = [
        event("process", 0, 20, exe="/usr/bin/shell"),
        event("tcp_connect", 1, 20, **there, syn_ns=START + SECOND // 2),
        event("exec", 2, 20, filename="/usr/bin/first"),
        event("tcp_connect", 4.5, 20, **there, syn_ns=START + 3 * SECOND),
        event("exec", 4, 20, filename="/usr/bin/second"),
        event("tcp_connect", 5, 20, **there, syn_ns=START + 5 * SECOND),
        event("tcp_connect", 6, 20, **there, syn_ns=START + 6 * SECOND),
        event("tcp_connect", 6, 20, **there | {"daddr": "10.0.0.1", "daddr_scope": "private"}, syn_ns=START + 6 * SECOND),
    ]
    found = results(tmp_path, "egress", events)
    assert {(row["program"], row["daddr"]): row["connects"] for row in found} == {
        ("/usr/bin/shell", "93.184.216.34"): 1,
        ("/usr/bin/first", "93.184.216.34"): 1,
        ("/usr/bin/second", "93.184.216.34"): 2,
    }
    assert sum(row["connects"] for row in results(tmp_path, "egress", events, "scope=all")) == 5


@pytest.mark.parametrize(
    ("life_ns", "from_ms", "below_ms"),
    [
        (0, 0.0, 0.001),
        (999, 0.0, 0.001),
        (1000, 0.001, 0.002),
        (1_023_999, 0.512, 1.024),
        (1_024_000, 1.024, 2.048),
        (2**40 * 1000 - 1, 2.0**39 / 1e3, 2.0**40 / 1e3),
    ],
)
def test_a_life_falls_into_the_row_that_holds_it(life_ns: int, from_ms: float, below_ms: float, tmp_path: Path) -> None:
    found = results(tmp_path, "process_lifetimes", [ended(1, 20, duration_ns=life_ns, exit_code=1)])
    assert [(row["from_ms"], row["below_ms"], row["processes"], row["percent"], row["failed"]) for row in found] == [(from_ms, below_ms, 1, 100.0, 1)]


def test_a_history_is_that_of_one_process_and_of_nobody_else(tmp_path: Path) -> None:
    events = [
        fork(0.1, 10, 20),
        event("exec", 0.2, 20, filename="/bin/x", argv=["x"]),
        fork(0.3, 20, 30),
        ended(0.4, 30),
        ended(0.5, 20, exit_code=None, signal=9),
    ]
    found = results(tmp_path, "history", events, "pid=20")
    assert [(row["event"], row["detail"]) for row in found] == [("exec", "/bin/x"), ("clone", "child 30"), ("exit", "SIGKILL after 1000.0 ms")]
    assert len(results(tmp_path, "history", events)) == 5
