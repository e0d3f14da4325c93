"""The reports about the recording itself: what was lost and when, which probes failed, what the clocks did, what programs cost."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from analyzer.recording import open_recording
from analyzer.report import bundled
from tests.report_checks import run
from tests.rows import Row, Rows, read_rows, write_recording

SECOND = 1_000_000_000
CANNED = read_rows()


def results(folder: Path, report: str, rows: Rows) -> list[dict[str, Any]]:
    """Return the rows of a report over the hand-written rows, with some tables replaced by ``rows``."""
    path = write_recording(folder / f"{uuid.uuid4()}.bpftape", CANNED | rows)
    _, result, found = run(bundled(report), open_recording(path))
    return [dict(zip((field.name for field in result.fields), values, strict=True)) for values in found]


def interval(table: str, second: int, events: int, lost: int, attached: bool = True) -> Row:
    own = {"table": table, "ts_ns": (1000 + second) * SECOND, "events": events, "lost": lost, "attached": attached}
    return CANNED["coverage"][0] | own


def test_losses_are_put_together_while_they_last_and_table_by_table(tmp_path: Path) -> None:
    coverage = [
        *(interval("exec", second, 90, lost) for second, lost in enumerate([0, 10, 30, 0, 20, 0])),
        *(interval("exit", second, 5, lost) for second, lost in enumerate([0, 5, 0, 0, 0, 0])),
        *(interval("clone", second, 0, 0, attached) for second, attached in enumerate([True, True, True, False, False, True])),
    ]
    found = results(tmp_path, "losses", {"coverage": coverage})
    assert [tuple(row.values())[:8] for row in found] == [
        (1.0, 3.0, "exec", "lost", 40, 180, 18.2, 120),
        (1.0, 2.0, "exit", "lost", 5, 5, 50.0, 10),
        (3.0, 5.0, "clone", "not attached", None, 0, None, 0),
        (4.0, 5.0, "exec", "lost", 20, 90, 18.2, 110),
    ]


def test_probes_that_failed_come_first_with_their_reason(tmp_path: Path) -> None:
    failed = CANNED["probe"][0] | {"status": "failed", "reason": "no such tracepoint", "program_id": None, "attached_ns": None, "detached_ns": None}
    found = results(tmp_path, "probes", {"probe": [*CANNED["probe"], failed]})
    assert len(found) == len(CANNED["probe"]) + 1
    assert (found[0]["status"], found[0]["reason"], found[0]["attached_s"]) == ("failed", "no such tracepoint", None)
    assert {row["status"] for row in found[1:]} == {"attached"}


def test_a_set_clock_and_a_sleeping_machine_are_told_from_the_noise_of_reading(tmp_path: Path) -> None:
    def reading(at_s: int, asleep_ns: int, set_ns: int) -> Row:
        now = (1000 + at_s) * SECOND
        return {"boottime_ns": now, "monotonic_ns": now - asleep_ns, "realtime_ns": 1_700_000_000 * SECOND + now + set_ns, "width_ns": 200}

    clock = [
        reading(0, 0, 0),
        reading(1, 150, -250),
        reading(2, 0, 3 * SECOND),
        reading(3, 7 * SECOND, 3 * SECOND),
        reading(4, 8 * SECOND, 2 * SECOND),
    ]
    found = results(tmp_path, "clock", {"clock": clock})
    assert [(row["found"], row["off_us"], row["asleep_ms"]) for row in found] == [
        (None, 0.0, None),
        (None, -0.25, 0.0),
        ("step", 3_000_000.0, 0.0),
        ("sleep", 3_000_000.0, 7000.0),
        ("step, sleep", 2_000_000.0, 1000.0),
    ]


def test_costs_are_those_of_each_program_and_of_each_interval(tmp_path: Path) -> None:
    nothing: Row = {**dict.fromkeys(CANNED["cost"][0]), "interval_ns": SECOND, "ts_ns": 1000 * SECOND, "ts": CANNED["cost"][0]["ts"]}
    own = nothing | {"cpu_user_ns": SECOND // 10, "cpu_system_ns": SECOND // 20, "rss_bytes": 5, "rss_anon_bytes": 3, "written_bytes": 7}
    busy, idle = (nothing | {"program": name, "run_count": runs, "run_time_ns": 2000 * runs} for name, runs in (("busy", 10_000), ("idle", 0)))
    later = [row | {"ts_ns": 1001 * SECOND} for row in (own, busy | {"run_count": 30_000, "run_time_ns": 60_000_000}, idle)]
    costs = results(tmp_path, "program_cost", {"cost": [own, busy, idle, *later]})
    assert [tuple(row.values())[:7] for row in costs] == [("busy", 40_000, 2000.0, 80.0, 100.0, 4.0, 6.0), ("idle", 0, None, 0.0, 0.0, 0.0, 0.0)]
    costs = results(tmp_path, "recorder_cost", {"cost": [own, busy, idle, *later]})
    assert [(row["at_s"], row["cpu_percent"], row["bpf_percent"], row["bpf_runs"]) for row in costs] == [
        (0.0, 15.0, 2.0, 10_000),
        (1.0, 15.0, 6.0, 30_000),
    ]
