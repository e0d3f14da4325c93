"""The reports that give the dashboard's charts their rows: held to what the bundled ones are held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.recording import Recording, open_recording
from analyzer.report import of_chart, queries_folder
from tests.report_checks import assert_header_is_true, assert_portable, run
from tests.rows import read_rows, write_recording

NAMES = sorted(path.stem for path in (queries_folder() / "charts").glob("*.sql"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(write_recording(tmp_path_factory.mktemp("recording") / "x.bpftape", read_rows()))


@pytest.mark.parametrize("name", NAMES)
def test_headers_are_true_and_the_sql_portable(name: str, recording: Recording) -> None:
    assert_header_is_true(of_chart(name), recording)
    assert_portable(of_chart(name).sql)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_does_not_depend_on_that_of_the_rows(name: str, recording: Recording, tmp_path: Path) -> None:
    reversed_rows = {table: rows[::-1] for table, rows in read_rows().items()}
    other = open_recording(write_recording(tmp_path / "reversed.bpftape", reversed_rows, segments=2))
    assert run(of_chart(name), other)[2] == run(of_chart(name), recording)[2]


@pytest.mark.parametrize("name", NAMES)
def test_no_more_rows_than_a_chart_takes(name: str, tmp_path: Path) -> None:
    rows = read_rows()
    hour = {
        table: [row | {"ts_ns": row["ts_ns"] + n * 10**9} for n in range(3600) for row in rows[table][:2]]
        for table in ("exit", "tcp_connect", "coverage", "clone")
    }
    long = open_recording(write_recording(tmp_path / "hour.bpftape", rows | hour))
    header = of_chart(name).header
    assert header
    parts = {parameter.name for parameter in header.parameters}
    assert parts <= {"parts", "most"}
    assert len(run(of_chart(name), long)[2]) <= 2000
    few = run(of_chart(name), long, *(f"{parameter}=3" for parameter in parts))[2]
    assert 0 < len(few) < len(run(of_chart(name), long)[2])


def test_parts_add_up_to_all_that_happened(recording: Recording) -> None:
    rows = read_rows()
    result = run(of_chart("connects"), recording)
    assert sum(row[5] for row in result[2]) == len(rows["tcp_connect"])
    events = run(of_chart("events"), recording)[2]
    counted = sum(row["events"] for row in rows["coverage"] if row.get("unwritten") is None)
    assert sum(row[3] for row in events) == counted
    failures = run(of_chart("failures"), recording)[2]
    bad = [row for row in rows["exit"] if row["signal"] is not None or row["exit_code"]]
    bad += [row for row in rows["tcp_connect"] if row["outcome"] in ("failed", "closed")]
    assert sum(row[4] for row in failures) == len(bad)


def test_lives_are_those_that_began_or_ended_and_the_longest_first(recording: Recording) -> None:
    every = run(of_chart("process_lives"), recording, "most=1000")[2]
    assert {row[8] for row in every} == {len(every)}
    longest = run(of_chart("process_lives"), recording, "most=3")[2]
    lengths = sorted((row[4] - row[3] for row in every), reverse=True)
    assert sorted((row[4] - row[3] for row in longest), reverse=True) == lengths[:3]
    ended = {(row["pid"], row["start_ns"]) for row in read_rows()["exit"]}
    assert ended <= {(row[0], row[9]) for row in every}
    assert (1, 10_000_000) not in {(row[0], row[9]) for row in every}, "init was there all the time"
