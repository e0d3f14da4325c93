"""``bpftape info``: what a recording is, without a report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.analyzer.conftest import error_of
from tests.rows import read_rows, write_recording
from tests.support import REPO


def info(*arguments: str | Path, cwd: Path = REPO) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from analyzer.cli import run_app; from analyzer.verbs import app; run_app(app)"
    command = [sys.executable, "-c", code, str(REPO), "info", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_info_tells_what_a_recording_is(recording: Path) -> None:
    done = info(recording)
    assert done.returncode == 0
    assert "web1, Linux 6.1.0-40-amd64 x86_64, 2 CPUs" in done.stdout
    assert "2026-01-15 12:00:00.000000 UTC to 2026-01-15 12:00:10.000000, 10.0 s" in done.stdout
    assert "end        clean: duration" in done.stdout
    assert "1.5 % of a CPU; at most 87.3 MiB resident (57.7 MiB anonymous); 24 runs of BPF programs, 2,025 ns each" in done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("clone ", "exec ", "exit "))] == [
        ["clone", "13"],
        ["exec", "11"],
        ["exit", "10"],
    ]
    assert "coverage: lossy (1 of 14 clone events lost" in done.stdout


def test_info_as_json_has_the_numbers(recording: Path) -> None:
    found = json.loads(info("--json", recording).stdout)
    assert (found["host"], found["duration_ns"], found["clean_end"], found["coverage"]) == ("web1", 10_000_000_000, True, "lossy")
    assert {table["table"]: (table["rows"], table["segments"], table["events"], table["lost"]) for table in found["tables"]} | {} == {
        "clone": (13, 2, 13, 1), "exec": (11, 2, 11, 0), "exit": (10, 2, 10, 0), "process": (8, 2, 8, 0), "recording": (1, 1, None, None),
        "tcp_connect": (25, 2, 25, 0), "tcp_accept": (9, 2, 9, 0), "tcp_close": (21, 2, 21, 0), "tcp_socket": (9, 2, 9, 0), "container": (6, 2, 6, 0),
        "xdp_drop": (9, 2, 9, 0), "xdp_pass": (4, 2, 4, 0),
        "probe": (9, 1, None, None), "coverage": (110, 2, None, None), "clock": (5, 2, None, None), "cost": (8, 2, None, None),
    }  # fmt: skip
    assert found["cost"]["cpu_share"] == 0.015
    assert found["probes"][0] == {"tracer": "clone", "hook": "raw_tracepoint:sched_process_exec", "status": "attached", "reason": None}


def test_info_names_failed_probes_and_an_unfinished_end_safely(tmp_path: Path) -> None:
    rows = read_rows()
    rows["recording"][0] |= {"host": "web\x1b[2J", "end_ts": None, "end_ns": None, "clean_end": False}
    rows["probe"][1] |= {"status": "failed", "reason": "Permission denied\n"}
    done = info(write_recording(tmp_path / "x.bpftape", rows))
    assert "web\\x1b[2J" in done.stdout
    assert "8 attached, 1 not:" in done.stdout
    assert "clone: raw_tracepoint:sched_process_exec failed: Permission denied\\n" in done.stdout
    assert "unfinished: killed, or still being written" in done.stdout
    assert "\x1b" not in done.stdout


def test_info_of_a_recording_with_nothing_but_a_clock(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "x.bpftape", {"clock": read_rows()["clock"]})
    done = info(folder)
    assert done.returncode == 0
    assert "cost       not recorded" in done.stdout
    assert json.loads(info("--json", folder).stdout)["clean_end"] is False


def test_info_takes_the_newest_recording_and_refuses_what_is_none(recording: Path, tmp_path: Path) -> None:
    assert "web1, Linux" in info(cwd=recording.parent).stdout
    error_of(info(tmp_path), 65)
    error_of(info(cwd=tmp_path), 65)
