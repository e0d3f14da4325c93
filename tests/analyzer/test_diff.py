"""``bpftape diff``: what is new, gone or changed, and what cannot be told, over recordings that differ in a known way."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from analyzer.diff.aspect import Side, Thing
from analyzer.diff.compare import Change, compare
from analyzer.trust import TableTrust, Trust, Verdict
from tests.analyzer.conftest import error_of
from tests.analyzer.differing import differences, quiet_rows, verb
from tests.rows import Rows, write_recording
from tests.support import REPO


@pytest.fixture(scope="module")
def quiet() -> Rows:
    return quiet_rows()


@pytest.fixture(scope="module")
def before(quiet: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("before") / "before.bpftape", quiet)


def test_a_recording_does_not_differ_from_itself(before: Path) -> None:
    assert differences(before, before) == {}
    same = differences(before, before, everything=True)
    assert {row["change"] for row in same.values()} == {"same"}
    assert {row["aspect"] for row in same.values()} >= {"programs", "destinations", "latency", "containers"}


def test_what_is_new_and_what_is_gone_is_told(quiet: Rows, before: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(quiet)
    gone = rows["exec"][0]["filename"]
    rows["exec"] = [row for row in rows["exec"] if row["filename"] != gone]
    rows["exec"].append(rows["exec"][-1] | {"filename": "/opt/new"})
    found = differences(before, write_recording(tmp_path / "after.bpftape", rows), "programs")
    assert {(row["change"], what) for (_, what), row in found.items()} == {("new", "/opt/new"), ("gone", gone)}
    assert (found["programs", "/opt/new"]["a_events"], found["programs", "/opt/new"]["b_events"]) == (0, 1)
    assert all(row["certain"] for row in found.values())


def test_what_was_not_recorded_before_is_not_new(quiet: Rows, before: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(quiet)
    rows["coverage"] = [row for row in rows["coverage"] if row["tracer"] != "clone"]
    rows["recording"][0]["tracers"] = ["tcp", "container"]
    for table in ("clone", "exec", "exit", "process"):
        rows.pop(table, None)
    without = write_recording(tmp_path / "without.bpftape", rows)
    done = verb(without, before, "--format", "json")
    answer = json.loads(done.stdout)
    assert {row["aspect"] for row in answer["rows"]} & {"programs", "spawns", "deaths"} == set()
    assert any(note.startswith("programs: nothing can be said, exec was not recorded there") for note in answer["coverage"]["notes"])
    assert answer["coverage"]["verdict"] == "not recorded"


def test_what_a_lossy_recording_does_not_have_may_have_been_there(quiet: Rows, before: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(quiet)
    rows["coverage"] = [row | {"lost": 7 if row["table"] == "exec" else 0} for row in rows["coverage"]]
    gone = rows["exec"][0]["filename"]
    rows["exec"] = [row for row in rows["exec"] if row["filename"] != gone]
    lossy = write_recording(tmp_path / "lossy.bpftape", rows)
    assert differences(lossy, before, "programs")["programs", gone]["certain"] is False
    assert differences(before, lossy, "programs")["programs", gone]["certain"] is False


def side(things: dict[str, Thing], seconds: float = 60.0, verdict: Verdict = Verdict.COMPLETE) -> Side:
    return Side(things, Trust((), (TableTrust("r", "exec", verdict),)), seconds, False)


def changes(a: Side, b: Side) -> dict[str, Change]:
    return {item.what: item.change for item in compare(a, b, 1.5, 0.01)}


def test_rates_are_by_the_time_that_was_recorded() -> None:
    a = side({"same": Thing(1_000), "more": Thing(1_000), "fewer": Thing(1_000), "little": Thing(1_000), "chance": Thing(2)})
    longer = side({"same": Thing(10_000), "more": Thing(20_000), "fewer": Thing(5_000), "little": Thing(13_000), "chance": Thing(40)}, seconds=600.0)
    assert changes(a, longer) == {"same": Change.SAME, "more": Change.MORE, "fewer": Change.FEWER, "little": Change.SAME, "chance": Change.SAME}
    more = next(item for item in compare(a, longer, 1.5, 0.01) if item.what == "more")
    assert (more.a_value, more.b_value, more.times) == (1_000.0, 2_000.0, 2.0)


def test_what_was_there_once_in_a_long_time_is_no_surprise_in_a_short_one() -> None:
    rare, short = side({"rare": Thing(1)}, seconds=3_600.0), side({}, seconds=1.0)
    (item,) = compare(rare, short, 1.5, 0.01)
    assert item.change is Change.GONE
    assert item.p is not None
    assert item.p > 0.9


def test_latencies_are_compared_by_all_of_them() -> None:
    low, high = tuple(0.1 + 0.001 * number for number in range(100)), tuple(0.3 + 0.001 * number for number in range(100))
    outlier = (*low[:-1], 1_000.0)
    a = side({"slower": Thing(100, low), "faster": Thing(100, high), "same": Thing(100, low), "few": Thing(2, (0.1, 0.1))})
    b = side({"slower": Thing(100, high), "faster": Thing(100, low), "same": Thing(100, outlier), "few": Thing(2, (0.9, 0.9))})
    assert changes(a, b) == {"slower": Change.SLOWER, "faster": Change.FASTER, "same": Change.SAME, "few": Change.SAME}


def test_with_other_filters_nothing_is_certain(quiet: Rows, before: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(quiet)
    rows["recording"][0]["filters"] = ["uid=0"]
    rows["exec"] = rows["exec"][1:]
    filtered = write_recording(tmp_path / "filtered.bpftape", rows)
    assert {row["certain"] for row in differences(filtered, before, "programs", everything=True).values()} == {False}


@pytest.mark.parametrize("form", ["table", "csv", "jsonl", "md", "json"])
def test_every_format_shows_it_and_no_name_steers_a_terminal(form: str, quiet: Rows, before: Path, tmp_path: Path) -> None:
    rows = copy.deepcopy(quiet)
    rows["exec"].append(rows["exec"][-1] | {"filename": "/opt/\x1b[31mred"})
    done = verb(before, write_recording(tmp_path / "after.bpftape", rows), "--format", form, "--only", "programs")
    assert done.returncode == 0, done.stderr
    assert "/opt/" in done.stdout
    assert form == "csv" or "\x1b" not in done.stdout
    assert "coverage" in (done.stdout if form in ("json", "md") else done.stderr)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "programms"], "programs"),
        (["--times", "0.5"], "a difference is 1 or more times"),
        (["--times", "nan"], "a difference is 1 or more times"),
        (["--p", "2"], "that is no probability"),
        (["--format", "parquet", "-o", "x"], "does not write parquet"),
        (["--format", "tabel"], "table"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], said: str, before: Path, tmp_path: Path) -> None:
    assert said in error_of(verb(before, before, *options, cwd=tmp_path), 2)


def test_a_missing_or_damaged_recording_is_named(quiet: Rows, before: Path, tmp_path: Path) -> None:
    assert "nowhere.bpftape" in error_of(verb(before, tmp_path / "nowhere.bpftape"), 65)
    damaged = write_recording(tmp_path / "damaged.bpftape", quiet)
    (damaged / "exec" / "000000.parquet").write_bytes(b"PAR1")
    assert error_of(verb(damaged, before), 65)


def test_without_scipy_it_says_what_to_install(before: Path, tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise ImportError\n")
    assert "bpftape[diff]" in error_of(verb(before, before, env={"PYTHONPATH": f"{tmp_path}:{REPO}"}), 2)
