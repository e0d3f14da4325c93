"""``bpftape replay``: the lines of ``record --print``, in order, in their own time, and what is not among them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from analyzer import replay
from analyzer.lines import DETAILS
from tests.analyzer.conftest import error_of, run
from tests.rows import read_rows, write_recording

ROWS = read_rows()


def verb(*arguments: str | Path, **options: Any) -> Any:
    return run("recorder.bpftape", "replay", *arguments, **options)


def words(stdout: str) -> list[list[str]]:
    return [line.split(None, 6) for line in stdout.splitlines()[1:]]


def test_every_event_is_a_line_in_order_of_time(recording: Path) -> None:
    done = verb(recording, "--speed", "max")
    assert done.returncode == 0, done.stderr
    lines = words(done.stdout)
    for table in DETAILS:
        assert len([line for line in lines if line[1] == table]) == len(ROWS.get(table, [])), table
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)


def test_drops_are_lines_without_a_process(recording: Path) -> None:
    done = verb(recording, "--speed", "max", "--table", "xdp_drop")
    found = [line for line in words(done.stdout) if line[1] == "xdp_drop"]
    assert found[0][2:] == ["-", "-", "-", "-", "eth0 icmp type 8 code 0: 3 packets 294 bytes in 0.200 s"]
    assert sum(int(line[6].split(": ")[1].split()[0]) for line in found) == sum(row["packets"] for row in ROWS["xdp_drop"])


def test_losses_are_lines_too(recording: Path) -> None:
    lost = [row for row in ROWS["coverage"] if row["lost"]]
    assert lost, "the hand-written rows have losses"
    found = [line for line in words(verb(recording, "--speed", "max").stdout) if line[1] == "LOST"]
    assert [line[6].split()[0].replace(",", "") + " " + line[6].split()[1] for line in found] == [
        f"{row['lost']} {row['table']}" for row in sorted(lost, key=lambda row: (row["ts_ns"], row["table"]))
    ]
    only = verb(recording, "--speed", "max", "--table", "process_that_is_none")
    assert "there are no such events" in error_of(only, 2)


def test_a_condition_and_tables_choose(recording: Path) -> None:
    done = verb(recording, "--speed", "max", "--table", "exec", "--table", "exit", "--where", "comm = 'sshd' -- the comment ends nothing")
    assert done.returncode == 0, done.stderr
    expected = [row for table in ("exec", "exit") for row in ROWS[table] if row["comm"] == "sshd"]
    assert len([line for line in words(done.stdout) if line[1] != "LOST"]) == len(expected)


def test_tables_that_a_condition_has_no_sense_for_are_left_out_and_named(recording: Path) -> None:
    done = verb(recording, "--speed", "max", "--where", "dport = 22")
    assert "left out, since --where has no sense there: clone, exec, exit, container" in done.stderr
    assert {line[1] for line in words(done.stdout)} <= {"tcp_connect", "tcp_accept", "tcp_close", "tcp_socket", "LOST"}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("dport =", "syntax error"),
        ("no_such_column = 1", "no_such_column"),
        ("1) OR (1", "syntax error"),
        ("EXISTS (SELECT 1 FROM read_text('/etc/passwd'))", "read_text() is not allowed"),
        ("1; DROP VIEW exec", "2 statements"),
    ],
)
def test_a_condition_that_is_none_or_hostile_is_refused(recording: Path, where: str, said: str) -> None:
    assert said in error_of(verb(recording, "--where", where), 2)


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "fast", ""])
def test_a_speed_that_is_none_is_refused(recording: Path, speed: str) -> None:
    assert "that is no speed" in error_of(verb(recording, "--speed", speed), 2)


def test_json_has_the_rows_with_all_their_columns(recording: Path) -> None:
    done = verb(recording, "--speed", "max", "--json", "--table", "exec")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    events = [row for row in rows if row["event"] == "exec"]
    assert [row["pid"] for row in events] == [row["pid"] for row in sorted(ROWS["exec"], key=lambda row: row["ts_ns"])]
    assert all(row["argv"] is None or isinstance(row["argv"], list) for row in events)


def test_names_cannot_steer_the_terminal(recording: Path) -> None:
    done = verb(recording, "--speed", "max")
    assert any("\x1b" in row["comm"] for row in ROWS["tcp_connect"]), "the hand-written rows have a hostile name"
    assert {character for character in done.stdout if not character.isprintable()} == {"\n"}


@pytest.mark.parametrize(("speed", "times"), [("1", 1.0), ("10", 0.1), ("0.5", 2.0)])
def test_events_come_in_their_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: str, times: float) -> None:
    """The clock is one of our own, which only sleeping moves."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    shown: list[float] = []

    def text(*_: object) -> str:
        shown.append(now[0] - 100.0)
        return ""

    monkeypatch.setattr(replay, "_text", text)
    rows = {table: ROWS[table] for table in ("clock", "recording", "probe", "exec")}
    path = write_recording(tmp_path / "x.bpftape", rows)
    replay.replay(replay.Request(path, speed))
    at_ns = sorted(row["ts_ns"] for row in ROWS["exec"])
    assert shown == pytest.approx([(ts_ns - at_ns[0]) / 1e9 * times for ts_ns in at_ns], abs=1e-6)


def test_a_time_is_a_time_for_every_event(recording: Path) -> None:
    """In reports the rows of some tables stay whole in time, since others refer to them."""
    whole = verb(recording, "--speed", "max").stdout.splitlines()
    times = [line.split()[0] for line in whole[1:]]
    since, until = times[len(times) // 3], times[2 * len(times) // 3]
    found = verb(recording, "--speed", "max", "--since", since, "--until", until).stdout.splitlines()
    assert found == [whole[0], *(line for line in whole[1:] if since <= line.split()[0] < until)]
    assert 1 < len(found) < len(whole)


def test_long_recordings_are_read_in_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Path) -> None:
    whole = verb(recording, "--speed", "max").stdout
    monkeypatch.setattr(replay, "_STRETCH_EVENTS", 1)
    from analyzer.recording import open_recording
    from analyzer.sandbox import open_sandbox

    with open_sandbox([open_recording(recording)]) as sandbox:
        assert len(list(replay._stretches(sandbox))) > 3
        statements = replay._statements(sandbox, list(DETAILS), None)
        lines = [replay._text(table, row, False) for _, table, row in replay._events(sandbox, statements)]
    assert sorted(lines) == sorted(whole.splitlines()[1:])
    assert tmp_path.is_dir()


def test_a_table_that_is_damaged_is_not_left_out(tmp_path: Path) -> None:
    damaged = write_recording(tmp_path / "x.bpftape", ROWS)
    segment = damaged / "exec" / "000000.parquet"
    segment.write_bytes(bytes(segment.stat().st_size))
    for words in ((), ("--where", "pid > 0")):
        done = verb(damaged, "--speed", "max", *words)
        assert "is damaged" in error_of(done, 65)
