"""The bundled reports: headers that tell the truth, results that stay the same, an order that depends on nothing, and no surprise without rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.catalog import index
from analyzer.header import parse_header
from analyzer.recording import Recording, open_recording
from analyzer.report import bundled, bundled_names, queries_folder
from recorder.schema import TABLES
from tests.report_checks import assert_header_is_true, assert_portable, run
from tests.rows import read_rows, write_recording
from tests.support import REPO, Cli

GOLDEN = REPO / "tests" / "golden"
REPORTS = bundled_names()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(write_recording(tmp_path_factory.mktemp("recording") / "x.bpftape", read_rows()))


@pytest.mark.parametrize("name", REPORTS)
def test_the_result_is_the_golden_one(name: str, recording: Recording, update_golden: bool, cli: Cli) -> None:
    done = cli("analyze", name, recording.path, "--format", "csv")
    assert done.returncode == 0, done.stderr
    golden = GOLDEN / f"{name}.csv"
    if update_golden:
        golden.write_text(done.stdout)
    assert golden.is_file(), "no golden file yet: pytest --update-golden, then look at it"
    assert done.stdout == golden.read_text()


def test_every_golden_file_has_its_report() -> None:
    assert [path.stem for path in sorted(GOLDEN.glob("*.csv"))] == REPORTS


@pytest.mark.parametrize("name", REPORTS)
def test_the_header_says_what_the_report_returns_and_reads(name: str, recording: Recording) -> None:
    assert_header_is_true(bundled(name), recording)


@pytest.mark.parametrize("name", REPORTS)
def test_the_order_does_not_depend_on_that_of_the_rows(name: str, recording: Recording, tmp_path: Path) -> None:
    reversed_rows = {table: rows[::-1] for table, rows in read_rows().items()}
    other = open_recording(write_recording(tmp_path / "reversed.bpftape", reversed_rows, segments=2))
    assert run(bundled(name), other)[2] == run(bundled(name), recording)[2]


@pytest.mark.parametrize("name", REPORTS)
def test_a_recording_without_rows_gives_no_error(name: str, tmp_path: Path) -> None:
    header = bundled(name).header
    assert header is not None
    of_events = any(TABLES[table].tracer for table in header.tables)  # the others tell of the recording itself, and that there is
    nothing = run(bundled(name), open_recording(write_recording(tmp_path / "nothing.bpftape", {"clock": read_rows()["clock"]})))[2]
    assert not (nothing and of_events)
    rows = read_rows()
    quiet = {table: rows[table] for table in ("recording", "probe", "clock")} | {
        "coverage": [row | {"events": 0, "lost": 0, "bytes": 0} for row in rows["coverage"]]
    }
    found = run(bundled(name), open_recording(write_recording(tmp_path / "quiet.bpftape", quiet)))[2]
    tables = sorted(table.name for table in TABLES.values() if table.tracer)
    if of_events:
        assert [row[4:8] for row in found] == ([(table, 0, 0, 0) for table in tables] if name == "overview" else [])


@pytest.mark.parametrize("name", REPORTS)
def test_it_stays_within_the_portable_subset(name: str) -> None:
    assert_portable(bundled(name).sql)


def test_overview_counts_every_table_that_a_tracer_makes() -> None:
    header = bundled("overview").header
    assert header is not None
    assert {table.name for table in TABLES.values() if table.tracer} <= set(header.tables)


def test_the_readme_of_the_reports_is_fresh(update_golden: bool) -> None:
    if update_golden:
        (queries_folder() / "README.md").write_text(index(), encoding="utf-8")
    assert (queries_folder() / "README.md").read_text() == index(), "make it anew: python -m analyzer.catalog"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "SELECT 1",
        "-- Title\n-- Question: Why?\n",
        "-- T\n-- Group: TCP\n-- Question: x\n-- Tables: a\n-- Columns:\n--   pid INTEGER\n-- Parameters: none\n-- Caveats: none",
        "-- T\n-- Group: TCP\n-- Question: x\n-- Tables: a\n-- Optional: b\n-- Columns:\n-- Parameters: none\n-- Caveats: none",
        "-- T\n-- Group: Udp\n-- Question: x\n-- Tables: a\n-- Columns:\n--   pid  INTEGER  -  x\n-- Parameters: none\n-- Caveats: none",
    ],
)
def test_a_header_that_lacks_something_is_an_error(header: str) -> None:
    with pytest.raises(ValueError, match="header"):
        parse_header(header)
