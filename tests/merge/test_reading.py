"""A merged recording under the other commands: info, ls, verify, and what narrows a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analyzer.conftest import run
from tests.analyzer.verbs import verb
from tests.merge.conftest import SEEN
from tests.merge.hosts import BEGIN_NS, LATER_NS, apart, host, write

COUNT = "SELECT host, count(*) AS n FROM tcp_connect GROUP BY ALL ORDER BY 1"


@pytest.fixture(scope="module")
def merged(pair: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("merged") / "both.bpftape"
    assert verb("merge", *pair, "-o", output).returncode == 0
    return output


def count(merged: Path, *options: str) -> str:
    done = run("analyzer.cli", "--sql", COUNT, merged, "--format", "csv", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_info_lists_the_parts_and_how_far_their_clocks_are_known(merged: Path) -> None:
    text = verb("info", merged).stdout
    assert "both.bpftape: 2 recordings on the time line of the first" in text
    assert [line.split()[:3] for line in text.splitlines()[4:6]] == [
        ["parts/000000", "web1", "web1_20260115T120000Z.bpftape"],
        ["parts/000001", "db1", "db1_20260115T120000Z.bpftape"],
    ]
    assert "29 connections" in text
    found = json.loads(verb("info", "--json", merged).stdout)
    assert [part["host"] for part in found["parts"]] == ["web1", "db1"]
    assert verb("info", merged / "parts" / "000001").returncode == 0


def test_ls_has_a_line_for_it(merged: Path) -> None:
    (line,) = json.loads(verb("ls", "--json", merged.parent).stdout)
    assert (line["recording"], line["host"], line["seconds"], line["state"]) == (
        "both.bpftape",
        "web1, db1",
        pytest.approx(10, abs=0.01),
        "merged of 2",
    )


def test_verify_reads_every_part(merged: Path) -> None:
    done = verb("verify", merged)
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        "both.bpftape/parts/000000: whole",
        "both.bpftape/parts/000001: whole",
    ]


def test_a_report_is_narrowed_by_the_time_line(merged: Path) -> None:
    assert count(merged) == "host,n\ndb1,7\nweb1,22\n"
    assert count(merged, "--host", "db1") == "host,n\ndb1,7\n"
    assert count(merged, "--until", "12:00:00.450") == "host,n\ndb1,4\nweb1,4\n"
    assert count(merged, "--since", "2026-01-15T12:00:00.450", "--until", "12:00:01") == "host,n\ndb1,3\nweb1,5\n"


def test_seconds_are_from_the_start_of_the_first_part(pair: list[Path], tmp_path: Path) -> None:
    late = host("db1", SEEN)
    late["recording"] = [late["recording"][0] | {"start_ns": BEGIN_NS + 300_000_000}]
    recordings = [pair[0], write(tmp_path, "db1", apart(late, LATER_NS), 2)]
    assert verb("merge", *recordings, "-o", tmp_path / "out").returncode == 0
    assert count(tmp_path / "out", "--since", "450ms", "--until", "1s") == "host,n\ndb1,3\nweb1,5\n"


def test_a_report_over_recordings_that_are_not_merged_has_their_hosts(pair: list[Path]) -> None:
    done = run("analyzer.cli", "--sql", COUNT, *pair, "--format", "csv")
    assert done.stdout == "host,n\ndb1,7\nweb1,22\n"


def test_a_process_that_gave_up_all_else_still_links_and_merges(pair: list[Path], tmp_path: Path) -> None:
    done = run("recorder.bpftape", "merge", *pair, "-o", tmp_path / "out.bpftape", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    segment = next(pair[0].glob("tcp_connect/*.parquet"))
    assert (tmp_path / "out.bpftape" / "parts" / "000000" / segment.relative_to(pair[0])).samefile(segment)
    assert [path.name for path in tmp_path.iterdir()] == ["out.bpftape"]
    assert run("recorder.bpftape", "verify", "out.bpftape", cwd=tmp_path).returncode == 0


def test_names_of_hosts_and_recordings_do_not_steer_a_terminal(pair: list[Path], tmp_path: Path) -> None:
    hostile = host("db1")
    hostile["recording"] = [hostile["recording"][0] | {"host": "\x1b[2Jdb1"}]
    two = write(tmp_path, "\x1b[31mdb1", apart(hostile, LATER_NS), 2)
    done = verb("merge", pair[0], two, "-o", tmp_path / "out\x1b[1m.bpftape")
    assert done.returncode == 0, done.stderr
    shown = [done, verb("info", tmp_path / "out\x1b[1m.bpftape"), verb("ls", tmp_path), verb("verify", tmp_path / "out\x1b[1m.bpftape")]
    assert all("\x1b" not in item.stdout + item.stderr for item in shown)
    assert "db1" in shown[1].stdout
