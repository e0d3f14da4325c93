"""--since, --until, --host and --container: any report over a part of what was recorded, and what is said of how far that can be trusted."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from analyzer.cut import Cut
from analyzer.errors import AnalyzerError
from analyzer.recording import open_recordings
from analyzer.report import Report, bundled, bundled_names
from analyzer.sandbox import open_sandbox
from analyzer.scope import Asked, narrow
from analyzer.trust import Verdict, assess
from analyzer.wording import line
from recorder.schema import TABLES
from tests.analyzer.conftest import Analyze, error_of
from tests.rows import Rows, read_rows, write_recording
from tests.support import Cli

SECOND = 1_000_000_000
START_NS = 1000 * SECOND  # 2026-01-15 12:00:00 UTC
EVENTS = [table.name for table in TABLES.values() if table.time == "ts_ns" and table.tracer and not table.lasting]
INTERVALS = ["coverage", "cost"]
WHOLE = [name for name in TABLES if name not in EVENTS + INTERVALS]


def rows(paths: list[Path], sql: str, tables: list[str], **asked: str) -> list[tuple[Any, ...]]:
    with open_sandbox(open_recordings(paths)) as sandbox:
        narrow(sandbox, Asked(**asked))
        return sandbox.rows(sql, tables)


def count(path: Path, table: str, where: str = "true", **asked: str) -> int:
    found: int = rows([path], f"SELECT count(*) FROM {table} WHERE {where}", [table], **asked)[0][0]
    return found


@pytest.mark.parametrize("table", EVENTS)
@pytest.mark.parametrize(("since", "until"), [("0.2s", "1900ms"), ("12:00:01", "12:00:05"), ("2026-01-15T13:00:02.5+01:00", "0h1m")])
def test_rows_from_the_one_time_on_and_before_the_other_are_there(table: str, since: str, until: str, recording: Path) -> None:
    bounds = {"0.2s": 0.2, "1900ms": 1.9, "12:00:01": 1, "12:00:05": 5, "2026-01-15T13:00:02.5+01:00": 2.5, "0h1m": 60}
    begin, end = (START_NS + int(bounds[text] * SECOND) for text in (since, until))
    expected = count(recording, table, f"ts_ns >= {begin} AND ts_ns < {end}")
    assert count(recording, table, since=since, until=until) == expected
    assert count(recording, table, since=since) + count(recording, table, until=since) == count(recording, table)


def test_a_time_of_day_is_utc_to_the_microsecond(recording: Path) -> None:
    ((ts,),) = rows([recording], "SELECT min(ts) FROM exit", ["exit"])
    assert count(recording, "exit", since=ts.isoformat()) == count(recording, "exit")
    assert count(recording, "exit", until=ts.isoformat()) == 0


def test_a_time_of_day_before_the_start_is_on_the_next_day(tmp_path: Path) -> None:
    changed = read_rows()
    for row in changed["clock"]:
        row["realtime_ns"] += 43_195 * SECOND  # it begins at 23:59:55
    late = write_recording(tmp_path / "late.bpftape", changed)
    assert count(late, "exec", since="00:00:02") == count(late, "exec", since="7s") != count(late, "exec")
    assert count(late, "exec", until="23:59:57") == count(late, "exec", until="2s")


@pytest.mark.parametrize("table", WHOLE)
def test_tables_that_others_refer_to_stay_whole_in_time(table: str, recording: Path) -> None:
    assert count(recording, table, since="4s", until="5s") == count(recording, table)


@pytest.mark.parametrize("table", INTERVALS)
@pytest.mark.parametrize(("since", "until"), [(4.5, 5.5), (9.9, 12), (20, 30)])
def test_intervals_that_reach_into_the_time_are_there_whole(table: str, since: float, until: float, recording: Path) -> None:
    begin, end = START_NS + int(since * SECOND), START_NS + int(until * SECOND)
    of_lasting = "\"table\" IN ('process', 'tcp_socket', 'container')" if table == "coverage" else "false"
    overlap = f"(ts_ns + interval_ns > {begin} AND ts_ns < {end}) OR {of_lasting}"
    assert count(recording, table, since=f"{since}s", until=f"{until}s") == count(recording, table, overlap)
    assert (count(recording, table, overlap) < count(recording, table)) == (table == "coverage" or since > 9)


CONTAINERS = {
    "web": "cgroup_id = 5001",
    "3f4e12aa90bc": "cgroup_id = 5001",
    "3f4e": "cgroup_id = 5001",
    "checkout-7c9f": "cgroup_id = 5002",
    "e0e1e2": "cgroup_id = 5003",
    "box\x1b[31m\ufffd": "pid_ns = 4026532321",
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_rows_of_a_containers_processes_are_there_whatever_it_is_called(container: str, recording: Path) -> None:
    seen = 0
    for table in (name for name, item in TABLES.items() if {"pid_ns", "cgroup_id"} <= {column.name for column in item.columns}):
        expected = count(recording, table, CONTAINERS[container])
        assert count(recording, table, container=container) == expected
        seen += expected
    assert seen > 0
    for table in ("recording", "probe", "clock", "coverage", "cost"):
        assert count(recording, table, container=container) == count(recording, table)


def test_two_containers_of_one_prefix_are_told_apart_by_the_user(tmp_path: Path) -> None:
    changed = read_rows()
    for number, row in enumerate(row for row in changed["container"] if row["container_id"]):
        row["container_id"] = f"abc{number}"
    path = write_recording(tmp_path / "x.bpftape", changed)
    with open_sandbox(open_recordings([path])) as sandbox, pytest.raises(AnalyzerError, match="The ids of 3 containers begin with abc"):
        narrow(sandbox, Asked(container="abc"))
    assert count(path, "container", container="abc1") == 1


def test_only_the_recordings_of_a_host_are_read(recording: Path, tmp_path: Path, analyze: Analyze) -> None:
    changed = read_rows()
    changed["recording"][0]["host"] = "db1"
    other = write_recording(tmp_path / "other.bpftape", changed, uuid.UUID(int=2))
    sql = "SELECT DISTINCT recording_id FROM exec"
    assert rows([recording, other], sql, ["exec"], host="db1") == [(uuid.UUID(int=2).hex,)]
    done = analyze("--sql", "SELECT count(*) AS n FROM exec", recording, other, "--host", "db1", "--format", "csv")
    assert done.stdout == "n\n11\n"
    assert done.stderr == "note: narrowed by --host db1\ncoverage: complete (exec attached for all of 10.0 s, none of 11 events lost)\n"


def trust(tmp_path: Path, changed: Rows, tables: list[str], **asked: str) -> tuple[Verdict, str]:
    tmp_path.mkdir(exist_ok=True)
    with open_sandbox(open_recordings([write_recording(tmp_path / "x.bpftape", changed)])) as sandbox:
        narrow(sandbox, Asked(**asked))
        found = assess(sandbox, tables)
    return found.verdict, line(found, {recording.id: recording.name for recording in sandbox.recordings}).removeprefix("coverage: ")


@pytest.fixture
def lossy() -> Rows:
    """Return rows of a recording that lost events of exec from 3 to 5 s, and whose tracer was not attached from 7 s on."""
    changed = read_rows()
    for row in changed["coverage"]:
        after_s = (row["ts_ns"] - START_NS) / SECOND
        row["lost"] = 500 if row["table"] == "exec" and 3 <= after_s < 5 else 0
        row["attached"] = after_s < 7 or row["table"] != "exec"
    return changed


def test_losses_and_gaps_outside_of_the_time_do_not_count(tmp_path: Path, lossy: Rows) -> None:
    assert trust(tmp_path / "a", lossy, ["exec"])[0] == Verdict.PARTIAL
    verdict, said = trust(tmp_path / "b", lossy, ["exec"], until="2.5s")
    assert (verdict, "attached for all of 2.5 s" in said) == (Verdict.COMPLETE, True), said
    verdict, said = trust(tmp_path / "c", lossy, ["exec"], since="2s", until="7s")
    assert (verdict, "1,000 of" in said, "between 12:00:03 and 12:00:05 UTC" in said) == (Verdict.LOSSY, True, True), said
    assert trust(tmp_path / "d", lossy, ["exec"], since="5.5s", until="6.5s")[0] == Verdict.COMPLETE
    assert trust(tmp_path / "e", lossy, ["exec"], since="8s")[0] == Verdict.NOT_RECORDED


def test_a_time_that_reaches_out_of_the_recording_is_no_complete_answer(tmp_path: Path, lossy: Rows) -> None:
    assert trust(tmp_path / "a", lossy, ["clone"], since="8s", until="20s") == (Verdict.PARTIAL, "partial (clone attached for 2.0 of 12.0 s)")
    assert trust(tmp_path / "b", lossy, ["clone"], since="2026-01-15T11:00", until="1s")[0] == Verdict.PARTIAL
    verdict, said = trust(tmp_path / "c", lossy, ["clone"], since="20s")
    assert (verdict, "the recording has nothing of that time" in said) == (Verdict.NOT_RECORDED, True)
    assert trust(tmp_path / "d", lossy, ["clone"], until="2026-01-15T11:00")[0] == Verdict.NOT_RECORDED
    assert trust(tmp_path / "e", lossy, ["clone", "process", "container"], since="8s", until="9s")[0] == Verdict.COMPLETE


def test_of_an_unfinished_recording_the_end_is_where_it_was_written_to(tmp_path: Path, lossy: Rows) -> None:
    lossy["recording"][0] |= {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}
    assert "what is here ends after" in trust(tmp_path / "a", lossy, ["clone"], since="8s")[1]
    assert trust(tmp_path / "b", lossy, ["clone"], since="20s")[0] == Verdict.NOT_RECORDED


@pytest.mark.parametrize("name", bundled_names())
def test_every_bundled_report_runs_over_a_part(name: str, recording: Path) -> None:
    report: Report = bundled(name)
    with open_sandbox(open_recordings([recording])) as sandbox:
        narrow(sandbox, Asked(since="1s", until="8s", host="web1", container="web"))
        result = sandbox.execute(sandbox.prepare(report.sql, name), name, report.values([]))
        assert report.header is not None
        assert [column.name for column in report.header.columns] == [field.name for field in result.fields]
        assert all(len(row) == len(result.fields) for batch in result.batches for row in batch)


def test_the_prompt_and_expectations_can_be_narrowed_too(recording: Path, tmp_path: Path, cli: Cli) -> None:
    done = cli("bpftape", "sql", recording, "--container", "web", "--format", "csv", stdin="SELECT DISTINCT cgroup_id AS c FROM tcp_close;")
    assert done.stdout == "c\n5001\n"
    (tmp_path / "none.sql").write_text("SELECT pid FROM exec")
    assert cli("analyze", "--expect", tmp_path / "none.sql", recording).returncode == 1
    assert cli("analyze", "--expect", tmp_path / "none.sql", recording, "--until", "0.001s").returncode == 0


INJECTIONS = ["' OR '1'='1", "x'; DROP VIEW exec; --", "1) OR (1=1", "-5001", "*", "%", "", "\0", "web'--", "\x1b[31m"]


@pytest.mark.parametrize("option", ["since", "until", "host", "container"])
def test_what_is_typed_never_becomes_sql(option: str, recording: Path) -> None:
    with open_sandbox(open_recordings([recording])) as sandbox:
        for text in INJECTIONS:
            with pytest.raises(AnalyzerError, match=r"that is no time|There is no recording of host|There is no container"):
                narrow(sandbox, Asked(**{option: text}))
        assert sandbox.rows("SELECT count(*) FROM exec", ["exec"]) == [(11,)]


def test_text_of_a_recording_never_becomes_sql(tmp_path: Path) -> None:
    changed = read_rows()
    name = "x') OR true; DROP VIEW exec; --"
    changed["recording"][0]["host"] = name
    for row in changed["container"]:
        row |= {"name": name, "nodename": name, "container_id": name}
    path = write_recording(tmp_path / "x.bpftape", changed)
    assert count(path, "exec", host=name, container=name) < count(path, "exec", host=name) == 11


def test_a_condition_is_made_of_numbers_alone() -> None:
    columns = {"ts_ns": "BIGINT", "pid_ns": "BIGINT", "cgroup_id": "BIGINT"}
    assert Cut(1, 2, frozenset({(3, 4), (None, 5)})).where("exec", columns).count("'") == 0
    for cut in (Cut(since_ns="1 OR true"), Cut(until_ns="1"), Cut(contexts=frozenset({("1 OR true", 2)})), Cut(contexts=frozenset({(1, "2")}))):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="format"):
            cut.where("exec", columns)
    assert Cut(1, 2, frozenset()).where("exec", columns).endswith("AND (false)")


WRONG = {
    ("--since", "soon"): "that is no time",
    ("--since", "2026-13-01T00:00"): "that is no time",
    ("--until", "25:00:00"): "that is no time",
    ("--since", "99999999999999h"): "that is too far away",
    ("--since", "5s", "--until", "5s"): "--since 5s is not before --until 5s",
    ("--host", "web2"): "Did you mean web1?",
    ("--container", "wev"): "Did you mean web",
    ("--container", "\x1b[31m"): "There is no container \\x1b[31m",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_named_with_what_there_is(arguments: tuple[str, ...], recording: Path, analyze: Analyze) -> None:
    assert WRONG[arguments] in error_of(analyze("overview", recording, *arguments), 2)
