"""Recording takes a few capabilities, not root, and a recorder under way has given up all but what reading its rings and writing its folder takes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer import landlock
from recorder.privilege import CAPABILITIES
from tests.kernel.harness import Recording, Spawner, eventually, kernel_knows, launched, recorder, run_record, true_path
from tests.support import REPO

NOBODY = 65_534
# Before 5.11 the kernel charges what programs use to RLIMIT_MEMLOCK, in a structure that is gone since, and lifting that takes one more.
LOADING = ("bpf", "perfmon", *(["sys_resource"] if kernel_knows("bpf_map_memory") else []))
ENOUGH = (*LOADING, "dac_read_search", "sys_ptrace")


def words_of(status: Path) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in status.read_text().splitlines())}


def held(pid: int) -> set[tuple[str, str, str, str, str]]:
    """Return what each thread of a process holds: its capabilities, three sets and what it could have, and whether it may get new ones."""
    tasks = [words_of(task / "status") for task in Path(f"/proc/{pid}/task").iterdir()]
    assert len(tasks) >= 4, "the recorder, and its threads that drain, write and seal"
    return {(task["CapEff"], task["CapPrm"], task["CapInh"], task["CapBnd"], task["NoNewPrivs"]) for task in tasks}


def only(*names: str) -> set[tuple[str, str, str, str, str]]:
    mask = f"{sum(1 << CAPABILITIES[name] for name in names):016x}"
    return {(mask, mask, f"{0:016x}", mask, "1")}


def without_privileges(*capabilities: str) -> list[str]:
    """Return the words that run what follows them as nobody, with these capabilities and no other."""
    sets = "-all," + ",".join(f"+{name}" for name in capabilities)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={sets}", f"--ambient-caps={sets}"]


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder of nobody's."""
    path = Path(tempfile.mkdtemp(prefix="bpftape-home-", dir="/var/tmp"))
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def test_no_thread_of_a_recorder_under_way_holds_more_than_it_needs_and_the_recording_is_whole(tmp_path: Path) -> None:
    with Spawner() as spawner, socket.create_server(("127.0.0.1", 0)) as server, recorder(tmp_path / "r.bpftape") as running:
        # From 6.0 on no call of bpf(2) that is still to come takes a capability; on 5.10 each takes CAP_BPF. Files of container runtimes take one.
        kept = ((), ("CAP_BPF",), ("CAP_BPF", "CAP_PERFMON"))
        assert held(running.pid) in [only("CAP_DAC_READ_SEARCH", *names) for names in kept]
        pids = spawner.spawn(23, true_path())
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            pass
        recording = running.stop()
    recording.assert_consistent()
    assert recording.about()["clean_end"]
    assert {row["pid"] for row in recording.rows("exit", ppid=spawner.pid)} == set(pids)
    assert [row["state"] for row in recording.rows("tcp_socket", pid=os.getpid())].count("listen") >= 1
    assert len(recording.rows("tcp_accept", pid=os.getpid())) == 1
    assert [row["exe"] for row in recording.rows("process", pid=os.getpid())] == [str(Path("/proc/self/exe").readlink())]
    assert max(row["run_count"] or 0 for row in recording.table("cost")) > 0
    assert sum(recording.lost(table) for table in ("clone", "exec", "exit", "tcp_accept")) == 0


def test_a_recording_for_the_user_behind_sudo_still_goes_into_their_folder(home: Path) -> None:
    user = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    with recorder(home / "r.bpftape", "--segment-seconds", "1", env=user) as running:
        kept = next(iter(held(running.pid)))[0]
        assert int(kept, 16) & ~(1 << CAPABILITIES["CAP_BPF"] | 1 << CAPABILITIES["CAP_PERFMON"]) == 0b111, "chown, dac_override, dac_read_search"
        recording = running.stop()
    recording.assert_consistent()
    assert {path.stat().st_uid for path in home.rglob("*")} == {NOBODY}


def test_drops_that_are_to_begin_later_keep_the_capability_that_they_take(tmp_path: Path) -> None:
    net_admin = 1 << CAPABILITIES["CAP_NET_ADMIN"]
    with recorder(tmp_path / "later.bpftape", "--drop", "icmp from 192.0.2.1@lo", "--drop-after", "1", "--tracers", "xdp") as running:
        assert all(int(effective, 16) & net_admin for effective, *_ in held(running.pid))
        eventually("it drops", lambda: any((tmp_path / "later.bpftape" / "probe").glob("*")) and dropping())
        recording = running.stop()
    assert [row["status"] for row in recording.table("probe")] == ["attached"]
    with recorder(tmp_path / "now.bpftape", "--drop", "icmp from 192.0.2.1@lo", "--tracers", "xdp") as running:
        assert not any(int(effective, 16) & net_admin for effective, *_ in held(running.pid))
        running.stop()


def dropping() -> bool:
    return "xdp" in subprocess.run(["ip", "link", "show", "lo"], capture_output=True, text=True, check=True).stdout


def test_the_command_has_the_privileges_that_the_recorder_was_started_with(tmp_path: Path) -> None:
    done = run_record("-o", tmp_path / "r.bpftape", "--", "grep", "-E", "^Cap|^NoNewPrivs", "/proc/self/status")
    own = words_of(Path("/proc/self/status"))
    assert dict(line.split(":\t") for line in done.stdout.splitlines()) == {name: own[name] for name in own if name.startswith(("Cap", "NoNewPrivs"))}


def test_what_has_given_up_writes_into_its_folder_and_nowhere_else_where_the_kernel_has_landlock(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "file").touch(0o666)
    attempts = [
        *(f"open('{tmp_path}/{name}', 'w')" for name in ("r/new", "file", "new")),
        f"os.unlink('{tmp_path}/file')",
        f"os.rename('{tmp_path}/file', '{tmp_path}/r/file')",
        f"open('{tmp_path}/file')",
        "os.setuid(1)",
        "os.chroot('/')",
        "subprocess.run(['/bin/true'])",
        "socket.create_server(('127.0.0.1', 0))",
    ]
    lines = [
        "import os, socket, subprocess, sys",
        "from pathlib import Path",
        "from analyzer import landlock",
        "from recorder.giving_up import give_up",
    ]
    lines += [f"give_up([], [(Path('{tmp_path}/r'), landlock.WRITE)])", "for line in sys.stdin:"]
    lines += ["  try: eval(line); print('done')", "  except OSError as error: print(type(error).__name__)"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        input="\n".join(attempts),
        capture_output=True,
        text=True,
        check=True,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    if landlock.version() < 2:  # Linux 5.19: before it files could not be moved; its capabilities a process has lost all the same
        assert done.stdout.split() == [*["done"] * 4, *["FileNotFoundError"] * 2, *["PermissionError"] * 2, *["done"] * 2]
        return
    network = "PermissionError" if landlock.version() >= 4 else "done"
    assert done.stdout.split() == ["done", *["PermissionError"] * 4, "done", *["PermissionError"] * 3, network]


def test_nobody_records_with_a_few_capabilities_and_compiles_by_themselves(home: Path) -> None:
    env = {"BPFTAPE_CACHE": "/nowhere"}
    with (
        Spawner() as spawner,
        socket.create_server(("127.0.0.1", 0)) as server,
        recorder(home / "r.bpftape", wrapper=without_privileges(*ENOUGH), env=env) as running,
    ):
        assert words_of(Path(f"/proc/{running.pid}/status"))["Uid"].split() == [str(NOBODY)] * 4
        pids = spawner.spawn(23, true_path())
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            pass
        recording = running.stop()
    assert "without CAP_SYS_ADMIN: BPF programs are not timed" in running.said()
    assert running.said().count("without CAP_") == 1
    recording.assert_consistent()
    assert {row["pid"] for row in recording.rows("exit", ppid=spawner.pid)} == set(pids)
    refused = [row for row in recording.table("probe") if row["status"] != "attached"]
    if refused:  # Debian's own kernels, as Debian sets them
        level = int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
        assert level > 2
        assert {row["hook"].partition(":")[0] for row in refused} == {"tracepoint"}
        assert all(f"kernel.perf_event_paranoid is {level}" in row["reason"] for row in refused)
        assert "not seen: tcp tracepoint:syscalls:sys_exit_accept" in running.said()
    assert len(recording.rows("tcp_accept", pid=os.getpid())) == (0 if refused else 1)
    assert [row["state"] for row in recording.rows("tcp_socket", pid=os.getpid())].count("listen") >= 1
    assert [row["exe"] for row in recording.rows("process", pid=os.getpid())] == [str(Path("/proc/self/exe").readlink())]


def test_what_a_missing_capability_costs_is_said_before_it_is_missed(home: Path) -> None:
    with recorder(home / "r.bpftape", wrapper=without_privileges(*LOADING, "dac_read_search")) as running:
        recording = running.stop()
    said = running.said()
    assert said.index("without CAP_SYS_PTRACE: of other users' processes that were there before, the program (exe)") < said.index("\nrecording ")
    assert [(row["comm"], row["exe"]) for row in recording.rows("process", pid=os.getpid())] == [
        (Path("/proc/self/comm").read_text().strip(), None)
    ], "the process is recorded, and of its program nothing is known"


def test_without_the_two_that_loading_takes_there_is_no_recording(home: Path) -> None:
    with launched(home / "r.bpftape", wrapper=without_privileges(*set(LOADING) - {"bpf"}, "dac_read_search")) as running:
        assert running.await_end() == 77
    assert "CAP_BPF" in running.said()
    assert list(home.iterdir()) == []


def test_nobody_drops_packets_with_one_more(home: Path) -> None:
    options = ["--drop", "icmp from 192.0.2.1@lo", "--tracers", "xdp", "--duration", "0.5", "-o", home / "r.bpftape"]
    done = run_record(*options, wrapper=without_privileges(*LOADING, "net_admin"))
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in Recording(home / "r.bpftape").table("probe")] == ["attached"]
    done = run_record(*options, wrapper=without_privileges(*LOADING))
    assert done.returncode == 77
    assert "CAP_NET_ADMIN" in done.stderr
