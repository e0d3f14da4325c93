"""What is said about how far a result can be trusted: "no rows" and "not recorded" are different answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recordings
from analyzer.sandbox import open_sandbox
from analyzer.trust import Trust, Verdict, assess
from analyzer.wording import line
from tests.analyzer.conftest import Analyze, error_of
from tests.rows import Rows, read_rows, write_recording

SECOND = 1_000_000_000


@pytest.fixture
def rows() -> Rows:
    """Return a recording's rows with nothing lost."""
    rows = read_rows()
    for row in rows["coverage"]:
        row["lost"] = 0
    return rows


def about(tmp_path: Path, rows: Rows, tables: list[str], optional: Sequence[str] = ()) -> tuple[Trust, str]:
    tmp_path.mkdir(exist_ok=True)
    recordings = open_recordings([write_recording(tmp_path / "x.bpftape", rows)])
    with open_sandbox(recordings) as sandbox:
        trust = assess(sandbox, tables, optional)
    return trust, line(trust, {recording.id: recording.name for recording in recordings})


def update(rows: Rows, table: str, **values: Any) -> None:
    for row in rows[table]:
        row |= values


def test_all_is_complete(tmp_path: Path, rows: Rows) -> None:
    trust, said = about(tmp_path, rows, ["clone", "exec", "process"])
    assert trust.verdict == Verdict.COMPLETE
    assert said == "coverage: complete (clone, exec and process attached for all of 10.0 s, none of 32 events lost)"


def test_lost_events_are_counted_with_when_they_were_lost(tmp_path: Path, rows: Rows) -> None:
    lossy = [row for row in rows["coverage"] if row["table"] == "exec"][3:5]
    lossy[0]["lost"], lossy[1]["lost"] = 1000, 2
    trust, said = about(tmp_path, rows, ["clone", "exec"])
    assert trust.verdict == Verdict.LOSSY
    assert said == "coverage: lossy (1,002 of 1,013 exec events lost between 12:00:03 and 12:00:05 UTC)"
    assert about(tmp_path / "second", rows, ["clone"])[0].verdict == Verdict.COMPLETE


def test_a_table_that_was_not_recorded_is_not_an_empty_one(tmp_path: Path, rows: Rows, analyze: Analyze) -> None:
    rows["coverage"] = [row for row in rows["coverage"] if row["table"] != "exit"]
    rows["exit"] = []
    update(rows, "recording", tracers=["something_else"])
    trust, said = about(tmp_path, rows, ["exec", "exit"])
    assert trust.verdict == Verdict.NOT_RECORDED
    assert said == "coverage: not recorded (exit: tracer clone was not asked for), so no rows do not mean that nothing happened"
    done = analyze("--sql", "SELECT pid FROM exit", tmp_path / "x.bpftape")
    assert "(not recorded, which is not the same as no rows)" in done.stdout
    assert "not recorded" in done.stderr


def test_a_table_that_a_report_can_do_without_is_missed_only_where_it_was_asked_for(tmp_path: Path, rows: Rows) -> None:
    rows["coverage"] = [row for row in rows["coverage"] if row["tracer"] != "container"]
    assert about(tmp_path / "missed", rows, ["exec", "container"], optional=["container"])[0].verdict == Verdict.NOT_RECORDED
    update(rows, "recording", tracers=["clone", "tcp"])
    trust, said = about(tmp_path, rows, ["exec", "container"], optional=["container"])
    assert said == "coverage: complete (exec attached for all of 10.0 s, none of 11 events lost)"
    assert [table.table for table in trust.tables] == ["exec"]
    assert about(tmp_path / "needed", rows, ["exec", "container"])[0].verdict == Verdict.NOT_RECORDED


def test_what_the_recorder_does_itself_is_complete_outside_of_its_window_too(tmp_path: Path, rows: Rows) -> None:
    trust, said = about(tmp_path, rows, ["exec", "xdp_drop", "xdp_pass"])
    assert trust.verdict == Verdict.COMPLETE
    attached = "exec attached for all of 10.0 s, xdp_drop and xdp_pass for as long as was asked for"
    assert said == f"coverage: complete ({attached}, none of 24 events lost)"
    for row in rows["coverage"]:
        row["attached"] &= row["tracer"] != "xdp" or row["ts_ns"] < 1004 * SECOND  # then an interface went
    trust, said = about(tmp_path / "gone", rows, ["xdp_drop"])
    assert (trust.verdict, "xdp_drop attached for 4.0 of 10.0 s" in said) == (Verdict.PARTIAL, True)


def test_a_tracer_that_never_attached_is_not_recorded(tmp_path: Path, rows: Rows) -> None:
    update(rows, "coverage", attached=False)
    update(rows, "probe", status="failed", reason="no BTF\x1b[31m", attached_ns=None)
    trust, said = about(tmp_path, rows, ["clone"])
    assert trust.verdict == Verdict.NOT_RECORDED
    assert "(clone: raw_tracepoint:task_newtask could not be attached: no BTF\\x1b[31m" in said


def test_a_tracer_that_was_attached_for_a_part_is_partial(tmp_path: Path, rows: Rows) -> None:
    for row in rows["coverage"]:
        row["attached"] = row["ts_ns"] < 1004 * SECOND
    trust, said = about(tmp_path, rows, ["clone", "exec"])
    assert trust.verdict == Verdict.PARTIAL
    assert said == "coverage: partial (clone and exec attached for 4.0 of 10.0 s)"


def test_intervals_that_stick_out_of_the_window_hide_no_gap(tmp_path: Path, rows: Rows) -> None:
    rows["coverage"] = [row for row in rows["coverage"] if not 1003 * SECOND < row["ts_ns"] < 1006 * SECOND]
    for row in rows["coverage"]:
        if row["ts_ns"] == 1000 * SECOND:
            row["ts_ns"] -= 2 * SECOND
            row["interval_ns"] += 2 * SECOND
    trust, _ = about(tmp_path, rows, ["exec"])
    assert (trust.verdict, trust.tables[0].covered_ns) == (Verdict.COMPLETE, 8 * SECOND)  # 2 s are within the longest interval of 3
    update(rows, "recording", end_ns=1012 * SECOND)
    assert about(tmp_path / "second", rows, ["exec"])[0].verdict == Verdict.PARTIAL


def test_a_killed_recorder_leaves_an_unfinished_recording(tmp_path: Path, rows: Rows, analyze: Analyze) -> None:
    update(rows, "recording", end_ts=None, end_ns=None, clean_end=False, end_reason=None)
    rows["coverage"] = [row for row in rows["coverage"] if row["ts_ns"] < 1004 * SECOND]
    trust, said = about(tmp_path, rows, ["exec"])
    assert trust.verdict == Verdict.UNFINISHED
    assert trust.windows[0].seconds == 4.0
    assert said == "coverage: unfinished (killed or still being written: what is here ends after 4.0 s)"
    done = analyze("overview", tmp_path / "x.bpftape")
    assert (done.returncode, "unfinished" in done.stdout) == (0, True)


def test_a_recording_that_lost_its_description_says_so(tmp_path: Path, rows: Rows) -> None:
    trust, said = about(tmp_path, rows | {"recording": [], "probe": []}, ["exec"])
    assert trust.verdict == Verdict.UNFINISHED
    assert "its table recording is missing" in said


def test_filters_are_named_since_they_leave_things_out(tmp_path: Path, rows: Rows) -> None:
    update(rows, "recording", filters=["comm=nginx", "uid=33"])
    trust, said = about(tmp_path, rows, ["exec"])
    assert trust.verdict == Verdict.FILTERED
    assert said == "coverage: filtered (only what comm=nginx and uid=33 let through was recorded)"


def test_a_snapshot_that_failed_is_not_recorded(tmp_path: Path, rows: Rows) -> None:
    rows["probe"].append(rows["probe"][0] | {"hook": "iterator:task", "tables": ["process"], "status": "failed", "reason": "too old"})
    for row in rows["coverage"]:
        row["attached"] &= row["table"] != "process"
    assert about(tmp_path, rows, ["process"])[0].verdict == Verdict.NOT_RECORDED


def test_a_snapshot_that_lost_processes_is_lossy(tmp_path: Path, rows: Rows) -> None:
    first = next(row for row in rows["coverage"] if row["table"] == "process")
    first |= {"events": 5, "lost": 2}
    trust, said = about(tmp_path, rows, ["process"])
    assert trust.verdict == Verdict.LOSSY
    assert said == "coverage: lossy (2 of 7 process events lost between 12:00:00 and 12:00:01 UTC)"


def test_tables_of_the_recorder_itself_need_no_tracer(tmp_path: Path, rows: Rows) -> None:
    assert about(tmp_path, rows, ["recording", "cost"])[1] == "coverage: complete (what was read needs no tracer)"


def test_of_several_recordings_the_one_in_doubt_is_named(tmp_path: Path, rows: Rows, recording: Path, analyze: Analyze) -> None:
    other = write_recording(tmp_path / "other.bpftape", rows, uuid.UUID(int=2))
    done = analyze("--sql", "SELECT count(*) FROM clone", recording, other)
    assert done.stderr == f"coverage: lossy ({recording.name}: 1 of 14 clone events lost between 12:00:07 and 12:00:08 UTC)\n"
    done = analyze("--sql", "SELECT count(*) FROM exec", recording, other)
    assert done.stderr == "coverage: complete (exec attached for all of 20.0 s in 2 recordings, none of 22 events lost)\n"


def test_what_holds_for_many_recordings_is_said_once(tmp_path: Path, rows: Rows, analyze: Analyze) -> None:
    update(rows, "recording", filters=["port=80"])
    many = [write_recording(tmp_path / f"{number}.bpftape", rows, uuid.UUID(int=number)) for number in range(1, 7)]
    done = analyze("--sql", "SELECT count(*) FROM tcp_connect", *many)
    names = "1.bpftape, 2.bpftape, 3.bpftape and 3 more"
    assert done.stderr == f"coverage: filtered ({names}: only what port=80 let through was recorded)\n"
    done = analyze("--sql", "SELECT count(*) FROM tcp_connect", *many[:4])
    assert "(1.bpftape, 2.bpftape, 3.bpftape and 4.bpftape: only" in done.stderr


def test_only_what_a_statement_reads_is_asked_about(recording: Path, analyze: Analyze) -> None:
    assert "lossy" in analyze("--sql", "SELECT 1 WHERE EXISTS (SELECT 1 FROM clone)", recording).stderr
    assert "complete" in analyze("--sql", "WITH clone AS (SELECT pid FROM exec) SELECT pid FROM clone", recording).stderr
    assert "lossy" in analyze("--sql", "WITH clone AS (SELECT pid FROM clone) SELECT pid FROM clone", recording).stderr
    assert analyze("--sql", "SELECT 1", recording).stderr == ""


def test_numbers_that_cannot_be_are_a_damaged_recording(tmp_path: Path, rows: Rows, analyze: Analyze) -> None:
    update(rows, "coverage", ts_ns=2**63 - 1)
    done = analyze("--sql", "SELECT count(*) AS n FROM exec", write_recording(tmp_path / "x.bpftape", rows), "--format", "csv")
    assert "error: A file of the recording is damaged: Overflow in addition" in error_of(done, 65)
