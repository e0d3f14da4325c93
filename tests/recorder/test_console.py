"""What is said on standard error, and what is printed of a row."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from analyzer.lines import line
from recorder import console
from recorder.result import Result


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1_023, "1023 bytes"),
        (1_024, "1.0 KiB"),
        (68_301, "66.7 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 * (1 << 20) + (1 << 19), "5.5 MiB"),
        (1 << 30, "1.00 GiB"),
        (1 << 42, "4096.00 GiB"),
    ],
)
def test_sizes_are_in_the_largest_unit_that_fits(count: int, words: str) -> None:
    assert console.size(count) == words


def result(**changes: Any) -> Result:
    given: dict[str, Any] = {
        "path": Path("a b.bpftape"),
        "seconds": 12.34,
        "rows": {"exit": 5, "clone": 23_000},
        "lost": {"exit": 0, "clone": 0},
        "bytes": 2_048,
        "end_reason": "SIGINT",
    }
    return Result(**given | changes)


def test_the_summary_has_rows_losses_size_place_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    console.summarize(result(), 0)
    assert capsys.readouterr().err.splitlines() == [
        "recorded 12.3 s, ended by SIGINT",
        "  clone        23,000 rows",
        "  exit              5 rows",
        "lost: nothing",
        "2.0 KiB in a b.bpftape",
        "next: analyze overview 'a b.bpftape'",
    ]


def test_the_summary_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    console.summarize(result(lost={"exit": 1_234, "clone": 0}, failed_probes=["clone hook: why"]), 77)
    said = capsys.readouterr().err.splitlines()
    assert said[2] == "  exit              5 rows  lost 1,234"
    assert "lost: 1,234 events — see the coverage table" in said
    assert "not seen: clone hook: why" in said
    assert any(text.startswith("77 events were recorded but not printed") for text in said)


ROW = {"ts": datetime(2026, 11, 23, 4, 5, 6, 78), "pid": 1234, "ppid": 1, "uid": 0, "comm": "sh"}
BEGIN = "04:05:06.000078"


@pytest.mark.parametrize(
    ("table", "row", "end"),
    [
        ("clone", {"is_thread": False, "child_pid": 77, "child_tid": 77}, "child 77"),
        ("clone", {"is_thread": True, "child_pid": 1234, "child_tid": 78}, "thread 78"),
        ("exec", {"filename": "/bin/ls", "argv": ["ls", "-l", ""], "argv_truncated": False}, "ls -l "),
        ("exec", {"filename": "/bin/ls", "argv": ["ls"], "argv_truncated": True}, "ls …"),
        ("exec", {"filename": "/bin/ls", "argv": None, "argv_truncated": False}, "/bin/ls"),
        ("exit", {"exit_code": 3, "signal": None, "core_dumped": False, "duration_ns": 1_500_000_000}, "code 3 after 1.500 s"),
        ("exit", {"exit_code": None, "signal": 9, "core_dumped": False, "duration_ns": 999_999}, "signal 9 after 0.001 s"),
        ("exit", {"exit_code": None, "signal": 11, "core_dumped": True, "duration_ns": 0}, "signal 11 (core dumped) after 0.000 s"),
    ],
)
def test_rows_are_lines(table: str, row: dict[str, Any], end: str) -> None:
    assert line(table, ROW | row) == f"{BEGIN} {table:11}    1234       1      0 sh               {end}"


ENDS = {"saddr": "10.0.0.2", "sport": 40_000, "daddr": "10.0.0.1", "dport": 443, "saddr_scope": "private", "daddr_scope": "private", "scope_id": None}
SIX = ENDS | {"saddr": "fe80::2", "daddr": "fe80::1", "saddr_scope": "link_local", "daddr_scope": "link_local", "scope_id": 3}
CONNECT = ENDS | {"errno": 0, "outcome": "connected", "latency_ns": 1_234_567, "is_fastopen": False, "is_mptcp": False}
UNKNOWN = {"errno": None, "latency_ns": None}
CLOSE = ENDS | {"direction": "outbound", "duration_ns": 2_500_000_000, "bytes_sent": 7, "bytes_received": 0, "retransmits": 0, "errno": None}


@pytest.mark.parametrize(
    ("table", "row", "end"),
    [
        ("tcp_connect", CONNECT, "10.0.0.2:40000 -> 10.0.0.1:443 connected after 1.235 ms"),
        ("tcp_connect", CONNECT | SIX | {"is_mptcp": True}, "[fe80::2%3]:40000 -> [fe80::1%3]:443 connected after 1.235 ms mptcp"),
        ("tcp_connect", CONNECT | {"is_fastopen": True}, "10.0.0.2:40000 -> 10.0.0.1:443 connected after 1.235 ms fastopen"),
        ("tcp_connect", CONNECT | UNKNOWN | {"outcome": "failed", "errno": 111}, "10.0.0.2:40000 -> 10.0.0.1:443 ECONNREFUSED"),
        (
            "tcp_connect",
            CONNECT | UNKNOWN | {"outcome": "failed", "errno": 99, "saddr": None, "sport": None, "saddr_scope": None},
            "?:? -> 10.0.0.1:443 EADDRNOTAVAIL",
        ),
        ("tcp_connect", CONNECT | UNKNOWN | {"outcome": "failed", "errno": 4_000}, "10.0.0.2:40000 -> 10.0.0.1:443 errno 4000"),
        ("tcp_connect", CONNECT | UNKNOWN | {"outcome": "pending"}, "10.0.0.2:40000 -> 10.0.0.1:443 pending"),
        ("tcp_accept", ENDS | {"queued_ns": 300_000_000, "is_mptcp": False}, "10.0.0.2:40000 <- 10.0.0.1:443 queued 300.000 ms"),
        ("tcp_accept", ENDS | {"queued_ns": None, "is_mptcp": True}, "10.0.0.2:40000 <- 10.0.0.1:443 mptcp"),
        ("tcp_close", CLOSE, "10.0.0.2:40000 -> 10.0.0.1:443 sent 7 received 0 bytes after 2.500 s"),
        (
            "tcp_close",
            CLOSE | {"direction": "inbound", "retransmits": 5, "errno": 104},
            "10.0.0.2:40000 <- 10.0.0.1:443 sent 7 received 0 bytes after 2.500 s retransmits 5 ECONNRESET",
        ),
        ("tcp_close", CLOSE | {"direction": None, "duration_ns": None}, "10.0.0.2:40000 -- 10.0.0.1:443 sent 7 received 0 bytes"),
        ("tcp_socket", ENDS | {"state": "listen", "direction": None, "daddr": None, "dport": None}, "10.0.0.2:40000 listen"),
        ("tcp_socket", ENDS | {"state": "established", "direction": "outbound"}, "10.0.0.2:40000 -> 10.0.0.1:443 established"),
        ("tcp_socket", ENDS | {"state": "close_wait", "direction": "inbound"}, "10.0.0.2:40000 <- 10.0.0.1:443 close_wait"),
    ],
)
def test_connections_are_lines_with_both_ends(table: str, row: dict[str, Any], end: str) -> None:
    assert line(table, ROW | row) == f"{BEGIN} {table:11}    1234       1      0 sh               {end}"


def test_a_process_that_is_not_known_is_a_dash() -> None:
    nobody = {"pid": None, "ppid": None, "uid": None, "comm": None}
    end = "10.0.0.2:40000 -> 10.0.0.1:443 sent 7 received 0 bytes after 2.500 s"
    assert line("tcp_close", ROW | CLOSE | nobody) == f"{BEGIN} tcp_close         -       -      - -                {end}"


BARE = {"nodename": "box", "name": None, "runtime": None, "container_id": None, "image": None, "cgroup_path": "/user.slice"}


@pytest.mark.parametrize(
    ("row", "end"),
    [
        (BARE, "box /user.slice"),
        (BARE | {"runtime": "docker", "container_id": "0123456789ab" + "c" * 52}, "box docker 0123456789ab /user.slice"),
        (
            BARE | {"name": "web", "runtime": "docker", "container_id": "ab" * 32, "image": "nginx:1"},
            "box web docker abababababab nginx:1 /user.slice",
        ),
        (BARE | {"nodename": "a\x1b[2Jb\n", "cgroup_path": "/x\r\u202ey"}, r"a\x1b[2Jb\n /x\r\u202ey"),
    ],
)
def test_containers_are_lines_with_what_is_known_of_them(row: dict[str, Any], end: str) -> None:
    assert line("container", ROW | row) == f"{BEGIN} container      1234       1      0 sh               {end}"


def test_lines_have_no_control_characters() -> None:
    hostile = "\x1b[2J\r\n\x00\x7f\x9b\u202e"
    text = line("exec", ROW | {"comm": hostile, "filename": "x", "argv": [hostile, "plain"], "argv_truncated": False})
    assert text.isprintable()
    assert text.count(r"\x1b[2J\r\n\x00\x7f\x9b\u202e") == 2
    assert text.endswith(" plain")
