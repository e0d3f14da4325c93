"""The functions that make columns of the clone tracer's records."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from recorder.tracers.clone import cgroup_path
from tests.recorder.derived import derived_columns


def columns(table: str, rows: list[dict[str, Any]], argv: bool = True) -> dict[str, list[Any]]:
    return derived_columns("clone", table, rows, argv)


def test_ends_are_read_as_wait_reads_them() -> None:
    statuses = [code << 8 for code in range(256)]
    statuses += [number | core for number in range(1, 65) for core in (0, 0x80) if number != signal.SIGSTOP]
    found = columns("exit", [{"status": status, "ts_ns": 7, "start_ns": 3} for status in statuses])
    for status, code, number, core in zip(statuses, found["exit_code"], found["signal"], found["core_dumped"], strict=True):
        signalled = os.WIFSIGNALED(status)
        assert code == (None if signalled else os.WEXITSTATUS(status))
        assert number == (os.WTERMSIG(status) if signalled else None)
        assert core == os.WCOREDUMP(status)
    assert set(found["duration_ns"]) == {4}


def record(filename: bytes, argv: bytes, read: bool = True, size: int | None = None) -> dict[str, Any]:
    return {
        "filename": filename,
        "filename_size": len(filename),
        "argv": argv,
        "argv_kept": len(argv),
        "argv_size": len(argv) if size is None else size,
        "argv_read": read,
    }


def test_arguments_end_where_they_were_read_to() -> None:
    found = columns(
        "exec",
        [
            record(b"/bin/true\0", b"true\0--flag\0\0"),
            record(b"/bin/false\0", b"", read=False),
            record(b"x" * 511 + b"\0", b"a" * 4096, size=9_000),
            record(b"", b""),
        ],
    )
    assert found["filename"] == ["/bin/true", "/bin/false", "x" * 511, ""]
    assert found["filename_truncated"] == [False, False, True, False]
    assert found["argv"] == [["true", "--flag", ""], None, ["a" * 4096], []]
    assert found["argv_truncated"] == [False, False, True, False]


def test_a_process_that_has_ended_meanwhile_has_no_words_of_its_own() -> None:
    found = columns("process", [{"pid": os.getpid()}, {"pid": 2**22 + 1}])
    assert found["exe"] == [str(Path("/proc/self/exe").readlink()), None]
    assert found["cmdline"] == [Path("/proc/self/cmdline").read_text().removesuffix("\0").split("\0"), None]
    assert found["cgroup_path"][1] is None


def test_command_lines_are_not_read_when_arguments_are_not_wanted() -> None:
    assert columns("process", [{"pid": os.getpid()}], argv=False)["cmdline"] == [None]


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("0::/system.slice/nginx.service\n", "/system.slice/nginx.service"),
        ("0::/\n", "/"),
        ("12:memory:/user.slice\n3:cpu,cpuacct:/cpu\n1:name=systemd:/named\n0::/\n", "/user.slice"),
        ("12:memory:/user.slice\n0::/system.slice\n", "/system.slice"),
        ("12:hugetlb,memory:/both\n3:cpuset:/other\n", "/both"),
        ("3:cpuset:/other\n", None),
        ("0::/with:colons:in it\n", "/with:colons:in it"),
        ("12:memory:/m\x0b\n0::/odd\x1c\x85\u2028 name\r\n", "/odd\x1c\x85\u2028 name\r"),
        ("", None),
    ],
)
def test_the_path_is_that_of_the_cgroup_whose_id_is_recorded(lines: str, path: str | None) -> None:
    assert cgroup_path(lines) == path
