"""``bpftape schema``: tables, views and columns, as somebody needs them who writes SQL."""

from __future__ import annotations

import json
from pathlib import Path

from analyzer.derived import derived_names
from analyzer.recording import open_recording
from analyzer.sandbox import open_sandbox
from recorder.schema import TABLES
from tests.analyzer.conftest import error_of
from tests.support import Cli


def test_all_tables_are_listed_with_what_a_row_is(cli: Cli) -> None:
    lines = cli("bpftape", "schema").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*TABLES, *derived_names()]
    assert "exec               a program started in a process" in lines


def test_a_table_is_shown_with_the_type_the_meaning_and_the_unit_of_each_column(cli: Cli) -> None:
    lines = cli("bpftape", "schema", "EXIT").stdout.splitlines()
    assert lines[:3] == ["exit: a process ended (its last thread did); comm is that of its leader", "Made by tracer clone. Its time is ts_ns.", ""]
    assert [line.split()[0] for line in lines[3:]] == [*(column.name for column in TABLES["exit"].columns), "host", "recording_id"]
    assert "  duration_ns   BIGINT     Life of the process: ts_ns - start_ns (ns)" in lines


def test_columns_and_types_are_those_that_sql_sees(cli: Cli, recording: Path) -> None:
    found = json.loads(cli("bpftape", "schema", "--json").stdout)
    assert [table["table"] for table in found] == [*TABLES, *derived_names()]
    with open_sandbox([open_recording(recording)]) as sandbox:
        for table in found:
            described = sandbox.rows(f"DESCRIBE {table['table']}", [table["table"]])
            assert [(column["name"], column["type"]) for column in table["columns"]] == [row[:2] for row in described]


def test_json_of_one_table_is_a_list_too(cli: Cli) -> None:
    (table,) = json.loads(cli("bpftape", "schema", "clock", "--json").stdout)
    assert (table["table"], table["tracer"], table["time"]) == ("clock", None, "boottime_ns")
    assert {"name": "width_ns", "type": "BIGINT", "unit": "ns", "nullable": False}.items() <= table["columns"][3].items()


def test_a_view_is_shown_with_what_it_is_made_of_and_what_to_know_of_it(cli: Cli) -> None:
    lines = cli("bpftape", "schema", "container_context").stdout.splitlines()
    assert lines[0].startswith("container_context: a pid namespace and cgroup")
    assert lines[1:3] == ["A view of container, made when it is named.", ""]
    assert "  container_id  VARCHAR  The runtime's id; NULL for bare namespaces" in lines
    assert any(line.startswith("Each is called what it was called last.") for line in lines)
    (view,) = json.loads(cli("bpftape", "schema", "container_context", "--json").stdout)
    assert (view["table"], view["derived_from"], view["tracer"], view["time"]) == ("container_context", ["container"], None, None)


def test_an_unknown_table_names_those_nearly_like_it(cli: Cli) -> None:
    assert "Did you mean tcp_connect" in error_of(cli("bpftape", "schema", "tcp_conect"), 2)
    assert "Did you mean container_context" in error_of(cli("bpftape", "schema", "container_contexts"), 2)
    assert "All of them: bpftape schema" in error_of(cli("bpftape", "schema", "\x1b[31m"), 2)
