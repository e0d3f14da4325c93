"""Derived views, read as tables are: made when they are named, over whatever the tables are, and told by the tables that they are made of."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recordings
from analyzer.sandbox import Sandbox, open_sandbox
from analyzer.scope import Asked, narrow
from analyzer.trust import assess
from tests.analyzer.conftest import Analyze
from tests.rows import read_rows, write_recording
from tests.support import Cli

LABELS = "SELECT label FROM container_context ORDER BY label"
MADE = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name"


def ask(sandbox: Sandbox, sql: str) -> list[Any]:
    return [row[0] for batch in sandbox.execute(sandbox.prepare(sql, "x"), "x").batches for row in batch]


def test_a_view_is_made_when_a_statement_names_it_and_not_before(recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        ask(sandbox, "SELECT comm FROM exec")
        assert sandbox.rows(MADE, []) == [("exec",)]
        assert ask(sandbox, LABELS) == ["box\x1b[31m\ufffd", "checkout", "e0e1e2e3e4e5", "web"]
        assert sandbox.rows(MADE, []) == [("container",), ("container_context",), ("exec",)]


def test_what_a_result_rests_on_are_the_tables_that_the_view_reads(recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        statement = sandbox.prepare("SELECT c.label FROM exec e JOIN Container_Context c ON c.pid_ns = e.pid_ns", "x")
        assert statement.tables == {"container", "exec"}
        assert statement.derived == {"container_context"}
        assert [table.table for table in assess(sandbox, statement.tables).tables] == ["container", "exec"]


def test_a_name_of_the_statements_own_is_not_the_view_and_does_not_reach_into_it(recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        assert ask(sandbox, "WITH container_context AS (SELECT 1 AS label) SELECT label FROM container_context") == [1]
        labels = ask(sandbox, LABELS)
        assert ask(sandbox, "WITH container AS (SELECT 1 AS label) " + LABELS) == labels != []
        assert sandbox.prepare("WITH container_context AS (SELECT 1 AS label) SELECT label FROM container_context", "x").derived == set()


def test_a_table_that_a_recording_calls_so_is_not_read(copy: Path) -> None:
    with open_sandbox(open_recordings([copy])) as sandbox:
        labels = ask(sandbox, LABELS)
    shutil.copytree(copy / "exec", copy / "container_context")
    manifest = copy / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    (segment,) = [line for line in lines if line.get("table") == "exec"]
    hostile = segment | {"table": "container_context", "path": segment["path"].replace("exec", "container_context")}
    manifest.write_text("".join(json.dumps(line) + "\n" for line in (*lines, hostile)))
    with open_sandbox(open_recordings([copy])) as sandbox:
        assert ask(sandbox, LABELS) == labels


def test_a_container_that_is_asked_about_is_all_there_is_in_the_view(recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        assert len(ask(sandbox, LABELS)) > 1
        narrow(sandbox, Asked(container="web"))
        assert ask(sandbox, LABELS) == ["web"]
        narrow(sandbox, Asked(since="5s"))
        assert len(ask(sandbox, LABELS)) > 1


@pytest.fixture
def early(tmp_path: Path) -> Path:
    """Return a recording in which the container web was made by a process in another cgroup, number 77, that does nothing but to end."""
    rows = read_rows()
    rows["recording"][0] |= {"boot_id": "another", "start_ns": rows["recording"][0]["start_ns"] + 1}
    web = next(row for row in rows["container"] if row["name"] == "web")
    unknown = dict.fromkeys(("container_id", "name", "runtime", "image"))
    made = {"cgroup_id": 77, "ts_ns": web["ts_ns"] - 1000, "nodename": rows["recording"][0]["host"], "cgroup_path": "/x"}
    rows["container"].append(web | unknown | made)
    rows["exit"].append(rows["exit"][-1] | {"pid": 7777, "cgroup_id": 77, "pid_ns": web["pid_ns"], "pid_ns_level": 1})
    return write_recording(tmp_path / "early.bpftape", rows, uuid.UUID(int=7))


def test_rows_of_who_was_in_its_pid_namespace_before_its_cgroup_are_the_containers_too(early: Path) -> None:
    with open_sandbox(open_recordings([early])) as sandbox:
        narrow(sandbox, Asked(container="web"))
        assert 7777 in ask(sandbox, "SELECT pid FROM exit")
        assert ask(sandbox, LABELS) == ["web", "web"]


def test_contexts_of_several_recordings_are_not_mixed(early: Path, recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        alone = len(ask(sandbox, LABELS))
    with open_sandbox(open_recordings([early, recording])) as sandbox:
        by_recording = "SELECT count(*) FROM container_context GROUP BY recording_id ORDER BY 1"
        assert ask(sandbox, by_recording) == [alone, alone + 1]


@pytest.mark.parametrize("verb", ["pack", "share", "merge"])
def test_it_is_there_in_whatever_is_made_of_a_recording(verb: str, early: Path, recording: Path, tmp_path: Path, cli: Cli, analyze: Analyze) -> None:
    made = tmp_path / ("made.bpftape.zip" if verb == "pack" else "made.bpftape")
    others: list[str | Path] = [recording, "--clocks-within", "1s"] if verb == "merge" else []
    done = cli("bpftape", verb, early, *others, "--output", made)
    assert done.returncode == 0, done.stderr
    sql = "SELECT count(DISTINCT label) AS labels, count(*) AS n FROM container_context GROUP BY recording_id, container_id HAVING count(*) > 1"
    answer = analyze("--sql", sql, made, "--format", "csv")
    assert answer.stdout.splitlines() == ["labels,n", "1,2"]
    assert "container_context" not in answer.stderr, "what is said of completeness names tables"
