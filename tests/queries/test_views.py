"""The derived views that reports read: headers that tell the truth, and SQL that may run by itself and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.derived import derived, derived_names
from analyzer.header import parse_header
from analyzer.recording import open_recording
from analyzer.sandbox import Sandbox, open_sandbox
from analyzer.schema import explain
from recorder.schema import TABLES
from tests.report_checks import portable_code
from tests.rows import read_rows, write_recording

NAMES = derived_names()


def rows(sandbox: Sandbox, name: str) -> list[tuple[object, ...]]:
    return sorted(sandbox.rows(f"SELECT * FROM {name}", [name]), key=repr)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_what_the_view_reads_and_has(name: str, tmp_path: Path) -> None:
    view = derived(name)
    with open_sandbox([open_recording(write_recording(tmp_path / "x.bpftape", read_rows()))]) as sandbox:
        statement = sandbox.prepare(view.sql, name)
        assert statement.tables == set(view.tables)
        assert not statement.derived | statement.parameters
        described = sandbox.rows(f"DESCRIBE {name}", [name])
        assert [(column.name, column.type) for column in view.columns] == [row[:2] for row in described]
        assert rows(sandbox, name), "the hand-written rows must show something in each view"
    assert view.row
    assert view.caveats
    assert view.columns[-1].name == "recording_id"
    parse_header("\n".join(["-- T", "-- Group: TCP", "-- Question: x?", "-- Parameters: none", *view.sql.splitlines()[1:]]))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_called_as_no_table_is_and_stays_within_the_portable_subset(name: str) -> None:
    assert name not in TABLES
    assert explain(derived(name)).startswith(f"{name}: ")
    assert "ORDER BY" not in portable_code(derived(name).sql).rsplit("FROM", 1)[1], "who reads it sorts"


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_do_not_depend_on_the_order_of_others(name: str, tmp_path: Path) -> None:
    found = []
    for number, order in enumerate((1, -1)):
        other = {table: rows[::order] for table, rows in read_rows().items()}
        with open_sandbox([open_recording(write_recording(tmp_path / f"{number}.bpftape", other, segments=1 + number))]) as sandbox:
            found.append(rows(sandbox, name))
    assert found[0] == found[1]
