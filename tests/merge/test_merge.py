"""Recordings of two hosts in one: on one time line, as sure as is said, with the rows that were recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from analyzer.merged import Source
from analyzer.recording import open_parts, open_recordings
from analyzer.report import bundled
from analyzer.sandbox import open_sandbox
from recorder.schema import TABLES, Clock, Type
from tests.analyzer.verbs import verb
from tests.merge.hosts import BEGIN_NS, BOOT, LATER_NS, apart, connection, host, write
from tests.rows import Rows, read_rows

MS = 1_000_000
HOUR_MS = 3_600_000 * MS


def merge(output: Path, *recordings: Path, options: tuple[str, ...] = ()) -> dict[str, Any]:
    done = verb("merge", *recordings, "--output", output, "--json", *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ask(path: Path, sql: str, *tables: str) -> list[tuple[Any, ...]]:
    with open_sandbox(open_recordings([path])) as sandbox:
        return sandbox.rows(sql, tables)


def both(folder: Path, web1: Rows, db1: Rows, wall_ns: int = 0, drift_ppm: int = 0) -> list[Path]:
    return [write(folder, "web1", web1, 1), write(folder, "db1", apart(db1, LATER_NS, wall_ns, drift_ppm), 2)]


@pytest.fixture(scope="module")
def merged(pair: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("merged") / "both.bpftape"
    merge(output, *pair)
    return output


def test_connections_tell_the_clocks_though_a_wall_clock_is_an_hour_fast(pair: list[Path], tmp_path: Path) -> None:
    found = merge(tmp_path / "both.bpftape", *pair)
    first, second = found["parts"]
    assert (first["shift_ns"], first["bound_ns"], first["source"]) == (0, 0, "itself")
    assert (second["source"], second["connections"]) == (Source.CONNECTIONS, 29)
    assert abs(second["shift_ns"] + LATER_NS) <= second["bound_ns"] < 2 * MS
    assert abs(second["wall_shift_ns"] + HOUR_MS) <= second["bound_ns"]
    assert found["notes"] == ["the wall clock of db1_20260115T120000Z.bpftape is 3,600.000 s ahead of that of web1_20260115T120000Z.bpftape"]


@pytest.mark.parametrize("drift_ppm", [-150, 0, 150])
def test_the_clocks_are_inside_of_the_bound_at_both_ends_of_the_recordings_though_they_drift(drift_ppm: int, tmp_path: Path) -> None:
    seen = [connection("web1", "db1", number, BEGIN_NS + number * 400 * MS) for number in range(1, 23)]
    _, part = merge(tmp_path / "out", *both(tmp_path, host("web1", seen), host("db1", seen), 0, drift_ppm))["parts"]
    assert part["source"] == Source.CONNECTIONS
    for after_ns in (0, 10_000 * MS):
        assert abs(part["shift_ns"] + LATER_NS + after_ns * drift_ppm // 1_000_000) <= part["bound_ns"]


def test_without_connections_the_wall_clocks_tell_as_far_as_they_are_trusted(tmp_path: Path) -> None:
    recordings = both(tmp_path, host("web1"), host("db1"), 40 * MS)
    _, part = merge(tmp_path / "second", *recordings)["parts"]
    assert (part["source"], part["connections"]) == (Source.WALL, 0)
    assert abs(part["shift_ns"] + LATER_NS - 40 * MS) < 1_000
    assert 1_000 * MS <= part["bound_ns"] < 1_001 * MS
    _, part = merge(tmp_path / "closer", *recordings, options=("--clocks-within", "50ms"))["parts"]
    assert 50 * MS <= part["bound_ns"] < 51 * MS


def sure(rows: Rows, maxerror_us: int, esterror_us: int = 100, is_synchronized: bool = True) -> Rows:
    """Return the same rows with a clock that is known to be wrong by no more than that."""
    error = {"maxerror_us": maxerror_us, "esterror_us": esterror_us, "is_synchronized": is_synchronized}
    return rows | {"clock": [row | error for row in rows["clock"]]}


def test_wall_clocks_whose_errors_both_hosts_know_bound_each_other_by_these(tmp_path: Path) -> None:
    recordings = both(tmp_path, sure(host("web1"), 7_000), sure(host("db1"), 5_000), 4 * MS)
    found = merge(tmp_path / "out", *recordings)
    _, part = found["parts"]
    assert (part["source"], found["notes"]) == (Source.SYNCHRONIZED, [])
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"]
    # Both recordings begin and end together by their wall clocks but for 4 ms, in which the clocks drift by 200 ppm.
    assert 12 * MS + 800 <= part["bound_ns"] < 12 * MS + 2_000
    assert "(by synchronized wall clocks)" in verb_note(tmp_path / "out")
    assert ask(tmp_path / "out", "SELECT clock_source FROM recording ORDER BY host", "recording") == [("synchronized wall clocks",), ("itself",)]
    _, part = merge(tmp_path / "told", *recordings, options=("--clocks-within", "50ms"))["parts"]
    assert part["source"] == Source.WALL, "who says how far they may be apart knows better"
    assert 50 * MS <= part["bound_ns"] < 51 * MS


@pytest.mark.parametrize(
    ("db1", "why"),
    [
        (sure(host("db1"), 5_000, is_synchronized=False), "nothing corrects it"),
        (sure(host("db1"), 0, 0), "systemd-timesyncd says so, and does not know"),
        (sure(host("db1"), 16_000, 0), "the kernel has let the 0 of systemd-timesyncd grow"),
        (host("db1"), "a recorder that was older"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_clock_whose_error_nobody_knows_is_trusted_as_all_are(db1: Rows, why: str, tmp_path: Path) -> None:
    del why
    _, part = merge(tmp_path / "out", *both(tmp_path, sure(host("web1"), 7_000), db1, 40 * MS))["parts"]
    assert part["source"] == Source.WALL
    assert 1_000 * MS <= part["bound_ns"] < 1_001 * MS


def test_an_error_that_was_once_greater_counts(tmp_path: Path) -> None:
    web1, db1 = sure(host("web1"), 7_000), sure(host("db1"), 5_000)
    db1["clock"] = [*db1["clock"], sure(read_rows() | {"clock": read_rows()["clock"][1:2]}, 30_000)["clock"][0]]
    _, part = merge(tmp_path / "out", *both(tmp_path, web1, db1))["parts"]
    assert 37 * MS <= part["bound_ns"] < 38 * MS
    assert part["source"] == Source.SYNCHRONIZED


def test_errors_that_connections_show_to_be_greater_are_not_believed(tmp_path: Path) -> None:
    seen = [{name: {t: rows for t, rows in of.items() if t != "tcp_close"} for name, of in connection("web1", "db1", 1, BEGIN_NS + MS).items()}]
    recordings = both(tmp_path, sure(host("web1", seen), 7_000), sure(host("db1", seen), 5_000), -100 * MS)
    found = merge(tmp_path / "out", *recordings)
    _, part = found["parts"]
    assert "say how far their wall clocks may be wrong, and connections between them show that this is not so" in found["notes"][0]
    assert part["source"] == Source.BOTH
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"]


def test_connections_in_one_direction_without_data_are_taken_together_with_the_wall_clocks(tmp_path: Path) -> None:
    seen = [{name: {t: rows for t, rows in of.items() if t != "tcp_close"} for name, of in connection("web1", "db1", 1, BEGIN_NS + MS).items()}]
    _, part = merge(tmp_path / "out", *both(tmp_path, host("web1", seen), host("db1", seen), 40 * MS))["parts"]
    assert part["source"] == Source.BOTH
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"] < 600 * MS


def test_clocks_an_hour_apart_that_connections_do_not_bound_are_asked_about(tmp_path: Path) -> None:
    seen = [{name: {t: rows for t, rows in of.items() if t != "tcp_close"} for name, of in connection("web1", "db1", 1, BEGIN_NS + MS).items()}]
    recordings = both(tmp_path, host("web1", seen), host("db1", seen), -HOUR_MS)
    done = verb("merge", *recordings, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "are at least 3,600.0" in done.stderr or "are at least 3,599.9" in done.stderr
    hint = re.search(r"--clocks-within (\d+s)", done.stderr)
    assert hint
    assert not (tmp_path / "out").exists()
    _, part = merge(tmp_path / "out", *recordings, options=("--clocks-within", hint[1]))["parts"]
    assert abs(part["shift_ns"] + LATER_NS) <= part["bound_ns"]


def test_recordings_an_hour_apart_are_said_to_be(tmp_path: Path) -> None:
    found = merge(tmp_path / "out", *both(tmp_path, host("web1"), host("db1"), HOUR_MS))
    assert len(found["notes"]) == 1
    assert "were recorded one after the other, 3,589.0 s apart, or their clocks are apart" in found["notes"][0]


def test_a_step_of_a_wall_clock_widens_the_bound(tmp_path: Path) -> None:
    stepped = host("db1")
    clock = stepped["clock"][0]
    later = {name: clock[name] + 5_000 * MS for name in ("boottime_ns", "monotonic_ns", "realtime_ns")}
    stepped["clock"] = [clock, clock | later, clock | later | {"realtime_ns": later["realtime_ns"] + 3_000 * MS}]
    _, part = merge(tmp_path / "out", *both(tmp_path, host("web1"), stepped))["parts"]
    assert 2_500 * MS <= part["bound_ns"] < 2_501 * MS


def test_two_recordings_of_one_boot_have_one_clock(tmp_path: Path) -> None:
    later = host("db1", boot_id=BOOT["web1"])
    recordings = [write(tmp_path, "web1", host("web1"), 1), write(tmp_path, "db1", apart(later, 20_000 * MS, 20_000 * MS), 2)]
    found = merge(tmp_path / "out", *recordings)
    assert [(part["shift_ns"], part["bound_ns"], part["source"]) for part in found["parts"]] == [(0, 0, Source.ITSELF), (0, 0, Source.BOOT)]
    assert found["notes"] == ["web1_20260115T120000Z.bpftape and db1_20260115T120000Z.bpftape were recorded one after the other, 10.0 s apart"]
    assert "recordings with one clock" in verb_note(tmp_path / "out")


def verb_note(path: Path) -> str:
    from analyzer.answer import ask as answer_of

    with open_sandbox(open_recordings([path])) as sandbox:
        return "\n".join(answer_of(sandbox, bundled("connections"), {}).notes)


def test_connections_that_contradict_each_other_are_not_used(tmp_path: Path) -> None:
    good = connection("web1", "db1", 1, BEGIN_NS + MS)
    false = connection("web1", "db1", 2, BEGIN_NS + MS)
    false["db1"]["tcp_accept"][0]["ts_ns"] += 5_000 * MS
    found = merge(tmp_path / "out", *both(tmp_path, host("web1", [good, false]), host("db1", [good, false])))
    assert found["parts"][1]["source"] == Source.WALL
    assert any("2 connections between" in note and "contradict each other" in note for note in found["notes"])


def test_addresses_that_both_hosts_use_inside_say_nothing(tmp_path: Path) -> None:
    inside = connection("web1", "web1", 1, BEGIN_NS + MS)  # as on a bridge that every host has
    inside["web1"]["tcp_accept"] = connection("db1", "web1", 1, BEGIN_NS + MS)["web1"]["tcp_accept"]
    for row in inside["web1"]["tcp_accept"]:
        row |= {"saddr": "10.1.0.1", "sport": 80, "daddr": "10.1.0.1", "dport": 40_001}
    other = {"db1": inside["web1"]}
    found = merge(tmp_path / "out", *both(tmp_path, host("web1", [inside]), host("db1", [other]), 300 * MS))
    assert found["parts"][1]["source"] == Source.WALL


def test_every_time_of_every_table_is_put_on_the_time_line_and_nothing_else_changes(tmp_path: Path) -> None:
    rows = read_rows()
    quiet = {"recording": [rows["recording"][0] | {"host": "db1", "boot_id": BOOT["db1"]}], "clock": rows["clock"][:1]}
    one = write(tmp_path, "web1", host("web1"), 1)
    original = write(tmp_path, "original", rows | quiet, 3)
    two = write(tmp_path, "db1", apart(rows | quiet, LATER_NS), 2)
    merge(tmp_path / "out", one, two)
    for table in TABLES:
        columns = TABLES[table].columns
        listed = ", ".join(f'"{column.name}"' for column in columns)
        found = ask(tmp_path / "out", f"SELECT {listed} FROM {table} WHERE recording_id LIKE '%2' ORDER BY ALL", table)
        expected = ask(original, f"SELECT {listed} FROM {table} ORDER BY ALL", table)
        assert len(found) == len(expected) == len((rows | quiet)[table]), table
        assert found == expected, table


def test_every_time_has_its_clock() -> None:
    lengths = {"duration_ns", "interval_ns", "latency_ns", "queued_ns", "width_ns", "cpu_user_ns", "cpu_system_ns", "run_time_ns"}
    of_its_own = {"monotonic_ns"}  # a clock of one boot alone, which nothing else is read from
    for column in (column for table in TABLES.values() for column in table.columns):
        if column.type is Type.TIMESTAMP:
            assert column.clock is Clock.WALL, column.name
        elif column.unit == "ns" and column.name not in lengths | of_its_own:
            assert column.clock is not None, f"{column.name} is a time, or one more length"
        else:
            assert column.clock is None, column.name


def test_rows_of_two_hosts_are_in_the_order_that_they_happened_in(merged: Path) -> None:
    sql = """
    SELECT count(*), count(*) FILTER (WHERE abs(a.ts_ns - a.queued_ns - c.ts_ns - 100000) <= r.bound_ns), count(*) FILTER (WHERE c.host <> a.host)
    FROM tcp_connect c JOIN tcp_accept a ON (a.saddr, a.sport, a.daddr, a.dport) = (c.daddr, c.dport, c.saddr, c.sport)
    CROSS JOIN (SELECT max(bound_ns) AS bound_ns FROM recording) r
    """
    assert ask(merged, sql, "tcp_connect", "tcp_accept", "recording") == [(29, 29, 29)]


def test_the_wall_clock_of_the_time_line_is_the_first_hosts(merged: Path) -> None:
    sql = "SELECT host, CAST(max(abs(epoch_us(ts) - (ts_ns + $offset) // 1000)) AS BIGINT) FROM tcp_connect GROUP BY ALL ORDER BY 1"
    offset_ns = read_rows()["clock"][0]["realtime_ns"] - read_rows()["clock"][0]["boottime_ns"]
    assert all(off_us <= 1 for _, off_us in ask(merged, sql.replace("$offset", str(offset_ns)), "tcp_connect"))


def test_the_service_map_spans_hosts(merged: Path) -> None:
    with open_sandbox(open_recordings([merged])) as sandbox:
        report = bundled("service_map")
        rows = [row for batch in sandbox.execute(sandbox.prepare(report.sql, "x"), "x").batches for row in batch]
    shown = [(row[1], row[3], *row[4:7], *row[10:12]) for row in rows]
    assert shown == [("app", "postgres", 5432, 22, 0, "web1", "db1"), ("app", "postgres", 80, 7, 0, "db1", "web1")]


def test_hosts_that_are_not_merged_have_no_connections_between_them(pair: list[Path]) -> None:
    with open_sandbox(open_recordings(pair)) as sandbox:
        report = bundled("service_map")
        rows = [row for batch in sandbox.execute(sandbox.prepare(report.sql, "x"), "x").batches for row in batch]
    assert sorted((row[1], row[3]) for row in rows) == [("10.1.0.1", "postgres"), ("10.1.0.2", "postgres"), ("app", "10.1.0.1"), ("app", "10.1.0.2")]


def test_a_failed_attempt_counts_for_the_server_on_the_other_host(tmp_path: Path) -> None:
    seen = [connection("web1", "db1", number, BEGIN_NS + number * 100 * MS) for number in (1, 2)]
    refused = dict(seen[0]["web1"]["tcp_connect"][0]) | {"outcome": "failed", "errno": 111, "sport": 50_000, "latency_ns": None}
    seen.append({"web1": {"tcp_connect": [refused]}})
    merge(tmp_path / "out", *both(tmp_path, host("web1", seen), host("db1", seen)))
    with open_sandbox(open_recordings([tmp_path / "out"])) as sandbox:
        report = bundled("service_map")
        assert report
        rows = [row for batch in sandbox.execute(sandbox.prepare(report.sql, report.name), report.name).batches for row in batch]
    assert [(row[1], row[3], row[5], row[6], row[11]) for row in rows] == [("app", "postgres", 2, 1, "db1")]


def test_answers_say_inside_of_what_orders_are_undecided(merged: Path) -> None:
    note = verb_note(merged)
    assert "both.bpftape is merged of 2 hosts, whose clocks are known to ±1." in note
    assert "(by connections): orders of their rows inside of that are undecided" in note


def test_the_timeline_marks_what_may_have_been_in_another_order(merged: Path) -> None:
    report = bundled("timeline")
    with open_sandbox(open_recordings([merged])) as sandbox:
        (bound_ns,) = sandbox.rows("SELECT max(bound_ns) FROM recording", ["recording"])[0]
        values = report.values([])
        rows = [row for batch in sandbox.execute(sandbox.prepare(report.sql, "x"), "x", values).batches for row in batch]
        union = " UNION ALL ".join(f"SELECT host, ts_ns FROM {table}" for table in ("tcp_connect", "tcp_accept", "tcp_close"))
        times = sandbox.rows(f"{union} ORDER BY ts_ns", ["tcp_connect", "tcp_accept", "tcp_close"])
    assert [row[1] for row in rows] == [host for host, _ in times]
    expected = [sum(other != host and abs(at_ns - ts_ns) <= bound_ns for other, at_ns in times) for host, ts_ns in times]
    assert [row[6] for row in rows] == expected
    assert len(set(expected)) > 2


def test_a_merged_recording_can_be_merged_again(merged: Path, tmp_path: Path) -> None:
    third = apart(host("web1", boot_id="77777777-2222-3333-4444-555555555555"), 5 * LATER_NS)
    recordings = merged, write(tmp_path, "web2", third, 7)
    done = verb("merge", *recordings, "-o", tmp_path / "three")
    assert done.returncode == 2, "db1's wall clock is wrong, so that web2's may be, too"
    assert "so that wall clocks do not tell where web2_20260115T120000Z.bpftape lies" in done.stderr
    found = merge(tmp_path / "three", *recordings, options=("--clocks-within", "1h1s"))
    assert [(part["host"], part["source"]) for part in found["parts"]] == [("web1", "itself"), ("db1", "connections"), ("web1", Source.BOTH)]
    assert abs(found["parts"][1]["shift_ns"] + LATER_NS) <= found["parts"][1]["bound_ns"]


def test_no_segment_is_written_twice_and_the_parts_are_what_was_merged(pair: list[Path], merged: Path) -> None:
    for number, path in enumerate(pair):
        part = merged / "parts" / f"{number:06}"
        assert {file.name for file in part.iterdir()} == {file.name for file in path.iterdir()}
        assert all((part / file.relative_to(path)).samefile(file) for file in path.glob("*/*.parquet"))
        assert (part / "manifest.jsonl").read_bytes() == (path / "manifest.jsonl").read_bytes()
    assert [recording.name for recording in open_parts(merged)] == [path.name for path in pair]
