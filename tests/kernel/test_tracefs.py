"""tracefs is not mounted everywhere: record mounts it and says so, or says why it cannot and records the rest.

Each recorder here has a mount namespace of its own, from which tracefs is taken away: nothing is unmounted that somebody else looks at.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.kernel.harness import Spawner, recorder, run_record, true_path

# tracefs may be mounted in more than one place, as below debugfs.
WITHOUT = [
    *("unshare", "--mount", "sh", "-c"),
    'for place in /sys/kernel/debug/tracing /sys/kernel/tracing; do umount "$place" 2>/dev/null; done; exec "$@"',
    "sh",
]
WITHOUT_RIGHT = [*WITHOUT, "setpriv", "--bounding-set=-sys_admin"]
TRACEPOINTS = {f"tracepoint:syscalls:{name}" for name in ("sys_exit_connect", "sys_exit_accept", "sys_exit_accept4")}
NOTE = "mounted tracefs at /sys/kernel/tracing, and leave it there"
REASON = "tracefs is not mounted, and cannot be at /sys/kernel/tracing: Operation not permitted"


def connect_to_nowhere() -> int:
    """Have a connect fail that no change of a socket's state tells of, since it is to a broadcast address; return its port."""
    with socket.socket(socket.AF_INET) as client, socket.socket(socket.AF_INET) as other:
        other.bind(("127.0.0.1", 0))
        port: int = other.getsockname()[1]
        assert client.connect_ex(("255.255.255.255", port)) != 0
    return port


def has_tracefs(pid: int) -> bool:
    return " - tracefs " in Path(f"/proc/{pid}/mountinfo").read_text()


def test_it_is_mounted_once_where_it_is_missing_and_that_is_said(tmp_path: Path) -> None:
    with recorder(tmp_path / "r.bpftape", "--tracers", "tcp", wrapper=WITHOUT) as running:
        assert has_tracefs(running.pid)
        port = connect_to_nowhere()
        recording = running.stop()
    assert [line for line in running.said().splitlines() if "tracefs" in line] == [NOTE]
    assert {probe["status"] for probe in recording.table("probe")} == {"attached"}
    (row,) = recording.rows("tcp_connect", daddr="255.255.255.255", dport=port)
    assert row["outcome"] == "failed"


def test_nothing_is_mounted_for_tracers_that_do_without_it(tmp_path: Path) -> None:
    with recorder(tmp_path / "r.bpftape", "--tracers", "clone,container", wrapper=WITHOUT) as running:
        assert not has_tracefs(running.pid)
        running.stop()
    assert "tracefs" not in running.said()


def test_where_it_cannot_be_mounted_the_rest_is_recorded_and_the_reason_with_it(tmp_path: Path) -> None:
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", wrapper=WITHOUT_RIGHT) as running:
        children = spawner.spawn(7, true_path())
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            sport = client.getsockname()[1]
        recording = running.stop()
    probes = {probe["hook"]: probe for probe in recording.table("probe") if probe["tracer"] == "tcp"}
    failed = {hook for hook, probe in probes.items() if probe["status"] == "failed"}
    assert failed - {"tracepoint:syscalls:sys_enter_connect"} == TRACEPOINTS
    assert {(probes[hook]["reason"], probes[hook]["program_id"], probes[hook]["attached_ns"]) for hook in failed} == {(REASON, None, None)}
    said = running.said()
    assert all(f"not seen: tcp {hook}: {REASON}" in said for hook in TRACEPOINTS)
    assert [row["pid"] for row in recording.rows("exit", ppid=spawner.pid)] == children
    assert len(recording.rows("tcp_connect", sport=sport, outcome="connected")) == 1, "the state of its socket changed, which is seen"
    attached = {row["table"]: row["attached"] for row in recording.table("coverage")}
    assert {table: attached[table] for table in ("clone", "container", "tcp_connect", "tcp_accept", "tcp_close")} == {
        "clone": True,
        "container": True,
        "tcp_connect": False,
        "tcp_accept": False,
        "tcp_close": True,
    }


@pytest.mark.parametrize("tracer", ["tcp", "tcp,clone"])
def test_a_tracer_that_was_asked_for_by_name_is_not_recorded_in_part(tmp_path: Path, tracer: str) -> None:
    done = run_record("--output", tmp_path / "r.bpftape", "--tracers", tracer, "--duration", 1, wrapper=WITHOUT_RIGHT)
    assert done.returncode == 70
    assert REASON in done.stderr
    assert not (tmp_path / "r.bpftape").exists()
