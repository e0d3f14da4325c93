"""The demo: this machine where it can be recorded, the canned recording elsewhere."""

from __future__ import annotations

import csv
import io
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import REPO, Cli

DEMO = REPO / "packaging" / "demo.sh"
REPORTS = ("overview", "process_tree", "tcp_connects", "container_connects")


def demo(recording: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, str(DEMO), str(recording)]
    return subprocess.run(command, cwd=recording.parent, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.kernel
def test_the_demo_shows_what_this_machine_did(tmp_path: Path, cli: Cli) -> None:
    recording = tmp_path / "demo.bpftape"
    done = demo(recording)
    assert done.returncode == 0, done.stderr
    for report in REPORTS:
        assert f"$ .venv/bin/analyze {report} {recording}\n" in done.stdout
    # The workload has three of its commands killed and starts seven threads, and starts only after the probes were attached.
    killed = """
        SELECT count(*) AS killed
        FROM exit AS s JOIN exec AS t ON t.pid = s.ppid JOIN exec AS w ON w.pid = t.ppid
        WHERE s.comm = 'sleep' AND s.signal = 15 AND t.comm = 'timeout' AND list_contains(w.argv, 'packaging/workload.sh')
        GROUP BY w.pid
    """
    threads = "SELECT count(*) AS threads FROM clone WHERE is_thread AND comm LIKE 'python%' GROUP BY pid"
    assert "3" in column(cli, killed, recording)
    assert "7" in column(cli, threads, recording)


def test_without_root_the_demo_shows_the_canned_recording_and_says_why(tmp_path: Path) -> None:
    recording = tmp_path / "demo.bpftape"
    done = demo(recording, *unprivileged())
    assert done.returncode == 0, done.stderr
    assert "sudo make demo" in done.stdout
    for report in REPORTS:
        assert f"$ .venv/bin/analyze {report} fixtures/demo.bpftape\n" in done.stdout
    assert not recording.exists()


def unprivileged() -> list[str]:
    """Return what to put before a command so that it runs without privileges, and can still read this tree."""
    owner = REPO.stat()
    if os.geteuid() != 0:
        return []
    if owner.st_uid == 0:
        return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    return ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]


def column(cli: Cli, query: str, recording: Path) -> list[str]:
    """Return the one column that ``query`` gives."""
    done = cli("analyze", "--sql", query, recording, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return [row[0] for row in csv.reader(io.StringIO(done.stdout))][1:]
