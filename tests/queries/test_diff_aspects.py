"""What recordings are compared by: reports like all others, with columns that the comparison knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.diff.aspect import aspects
from analyzer.recording import Recording, open_recording
from analyzer.report import Report
from tests.report_checks import assert_header_is_true, assert_portable, run
from tests.rows import read_rows, write_recording

ASPECTS = {aspect.name: aspect for aspect in aspects()}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(write_recording(tmp_path_factory.mktemp("recording") / "x.bpftape", read_rows()))


@pytest.mark.parametrize("aspect", ASPECTS.values(), ids=list(ASPECTS))
def test_an_aspect_is_a_report_that_is_true_of_itself(aspect: Report, recording: Recording) -> None:
    assert_header_is_true(aspect, recording)
    assert_portable(aspect.sql)
    _, result, rows = run(aspect, recording)
    names = [field.name for field in result.fields]
    assert names[0] == "what"
    assert set(names) <= {"what", "events", "latencies_ms", "port", "family", "recording_id"}
    assert ("port" in names) == ("family" in names)
    assert len({row[0] for row in rows}) == len(rows), "a thing is there once"


def test_all_of_them_are_found_by_their_place(repo: Path) -> None:
    assert sorted(ASPECTS) == sorted(path.stem for path in (repo / "queries" / "diff").glob("*.sql"))
