"""Filters choose in the kernel: all rows that come are wanted, and all that are wanted come."""

from __future__ import annotations

import json
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.bpf_ids import has_key
from tests.kernel.harness import Recording, Spawner, cgroup_mounts, eventually, launched, program, recorder, run_program, true_path

EVENTS = ("clone", "exec", "exit")
BELOW = "be\r\x0clow \x1c\u2028"  # whoever has a cgroup of their own may call those below it so
STRANGER = 100_000 + os.getpid()  # a user id that nothing else runs by


def as_user(uid: int) -> list[str]:
    # The one capability is for reading the source tree wherever it lies; it has nothing to do with what is recorded.
    capability = "+dac_read_search"
    return ["setpriv", "--reuid", str(uid), "--clear-groups", "--inh-caps", capability, "--ambient-caps", capability]


def pids(recording: Recording, table: str) -> list[int]:
    return [row["child_pid" if table == "clone" else "pid"] for row in recording.table(table)]


def test_pid_restricts_all_tables_to_these_processes(tmp_path: Path) -> None:
    with Spawner() as first, Spawner() as second, Spawner() as other:
        with recorder(tmp_path / "r.bpftape", "--pid", first.pid, "--pid", second.pid) as running:
            other.spawn(3, true_path())
            children = first.spawn(7, true_path()) + second.spawn(5, true_path())
            recording = running.stop()
        assert pids(recording, "clone") == children
        assert {row["pid"] for row in recording.table("clone")} == {first.pid, second.pid}
        assert sorted(pids(recording, "process")) == sorted([first.pid, second.pid])
    assert recording.about()["filters"] == [f"pid={first.pid}", f"pid={second.pid}"]
    # Their children are other processes.
    assert recording.table("exec") == []
    assert recording.table("exit") == []


def test_pid_takes_a_process_whatever_its_name(tmp_path: Path) -> None:
    with Spawner(name="x\rTgid:\t1") as spawner, recorder(tmp_path / "r.bpftape", "--pid", spawner.pid) as running:
        children = spawner.spawn(3, true_path())
        recording = running.stop()
    assert pids(recording, "clone") == children


def test_the_end_of_a_process_is_seen_by_its_pid(tmp_path: Path) -> None:
    with Spawner() as spawner, recorder(tmp_path / "r.bpftape", "--pid", spawner.pid) as running:
        spawner.process.kill()
        spawner.process.wait()
        recording = running.stop()
    assert [(row["pid"], row["signal"]) for row in recording.table("exit")] == [(spawner.pid, 9)]


def test_comm_restricts_to_tasks_of_this_name(tmp_path: Path) -> None:
    longest = f"odd{os.getpid():012}"
    assert len(longest) == 15
    name, near = tmp_path / longest, tmp_path / longest[:-1]
    for copy in (name, near):
        shutil.copy(true_path(), copy)
    with (
        Spawner() as spawner,
        Spawner(name="bpftape named") as named,
        recorder(tmp_path / "r.bpftape", "--comm", name.name, "--comm", "bpftape named") as running,
    ):
        spawner.spawn(3, str(near))
        children = spawner.spawn(9, str(name))
        made = named.spawn(5, str(near))
        recording = running.stop()
    assert pids(recording, "exec") == children
    assert pids(recording, "exit") == children
    assert pids(recording, "clone") == made
    assert pids(recording, "process") == [named.pid]


def test_uid_restricts_to_users_by_number_or_name(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    with ExitStack() as stack:
        by_number, by_name = (
            stack.enter_context(launched(tmp_path / f"{number}.bpftape", "--uid", user)) for number, user in enumerate((STRANGER, "nobody"))
        )
        root, stranger, unnamed = (stack.enter_context(Spawner(wrapper=wrapper)) for wrapper in ([], as_user(STRANGER), as_user(nobody)))
        for running in (by_number, by_name):
            running.errors.wait_for("^recording ")
        for spawner in (root, stranger, unnamed):
            spawner.spawn(7, true_path())
        of_stranger, of_nobody = by_number.stop(), by_name.stop()
    for recording, spawner, uid in ((of_stranger, stranger, STRANGER), (of_nobody, unnamed, nobody)):
        for table in EVENTS:
            assert {row["uid"] for row in recording.table(table)} == {uid}
            assert len(recording.rows(table, **{"pid" if table == "clone" else "ppid": spawner.pid})) == 7
    assert len(of_stranger.table("exec")) == 7


def is_empty(group: Path) -> bool:
    return not (group / "cgroup.procs").read_text()


@pytest.fixture(params=sorted(cgroup_mounts()))
def cgroup(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a cgroup of each kind that is mounted, with another one below it; remove both."""
    folder = cgroup_mounts()[request.param] / f"bpftape-test-{os.getpid()}"
    below = folder / BELOW
    below.mkdir(parents=True)
    yield folder
    for group in (below, folder):
        eventually(f"{group} is empty", partial(is_empty, group))
        group.rmdir()


def test_cgroup_restricts_to_a_group_and_those_below_it(tmp_path: Path, cgroup: Path) -> None:
    with Spawner() as inside, Spawner() as below, Spawner() as outside:
        for spawner, folder in ((inside, cgroup), (below, cgroup / BELOW)):
            if "cgroup2" in cgroup_mounts():  # where v2 has a group for the task, v1's is not looked at
                (cgroup_mounts()["cgroup2"] / "cgroup.procs").write_text(str(spawner.pid))
            (folder / "cgroup.procs").write_text(str(spawner.pid))
        with recorder(tmp_path / "r.bpftape", "--cgroup", cgroup) as running:
            outside.spawn(3, true_path())
            children = inside.spawn(7, true_path())
            grandchildren = below.spawn(5, true_path())
            recording = running.stop()
        inode, inode_below = cgroup.stat().st_ino, (cgroup / BELOW).stat().st_ino
    for table in EVENTS:
        assert pids(recording, table) == children + grandchildren
        assert [row["cgroup_id"] for row in recording.table(table)] == [inode] * 7 + [inode_below] * 5
    paths = {row["pid"]: (row["cgroup_id"], row["cgroup_path"]) for row in recording.table("process")}
    assert paths == {inside.pid: (inode, f"/{cgroup.name}"), below.pid: (inode_below, f"/{cgroup.name}/{BELOW}")}


def test_options_must_all_hold(tmp_path: Path) -> None:
    with (
        Spawner(name="odd one") as right,
        Spawner(name="even one") as named_otherwise,
        Spawner(name="odd one") as another,
        Spawner(name="odd one", wrapper=as_user(STRANGER)) as strangers,
    ):
        numbers = [right.pid, named_otherwise.pid, strangers.pid]
        options = ["--comm", "odd one", "--uid", 0, *(word for pid in numbers for word in ("--pid", pid))]
        with recorder(tmp_path / "r.bpftape", *options) as running:
            for spawner in (named_otherwise, another, strangers):
                spawner.spawn(3, true_path())
            children = right.spawn(7, true_path())
            recording = running.stop()
        assert pids(recording, "clone") == children
        assert pids(recording, "process") == [right.pid]
    assert set(recording.about()["filters"]) == {"comm=odd one", "uid=0", *(f"pid={pid}" for pid in numbers)}


def test_follow_children_restricts_to_the_command_and_all_its_descendants(tmp_path: Path) -> None:
    with Spawner() as other:
        command = ["/bin/sh", "-c", 'read _; exec "$@"', "sh", *program("family", true_path())]
        read, write = os.pipe()
        with recorder(tmp_path / "r.bpftape", "--follow-children", command=command, stdin=read) as running:
            os.close(read)
            other.spawn(5, true_path())
            os.write(write, b"go\n")
            os.close(write)
            assert running.await_end() == 0, running.said()
        family = json.loads(running.output.everything())
    recording = Recording(running.path)
    elder = family[0]
    assert len(set(family)) == len(family) == 1 + 4 + 3 + 2 + 1 + 1  # itself; 4 generations' programs, 3 children, the orphan and its parent, …
    assert sorted(pids(recording, "exit")) == sorted(family)
    assert sorted([*pids(recording, "clone"), elder]) == sorted([*family, elder])
    assert sorted(set(pids(recording, "exec"))) == sorted({elder, *(row["pid"] for row in recording.rows("exec", filename=true_path()))})
    assert len(recording.rows("exec", filename=true_path())) == 4 + 1 + 1
    assert recording.about()["filters"] == ["follow-children"]


def test_follow_children_does_not_follow_a_stranger_with_the_pid_of_a_descendant_that_ended(tmp_path: Path) -> None:
    copy = tmp_path / "stranger"
    shutil.copy(true_path(), copy)
    read, write = os.pipe()
    command = ["/bin/sh", "-c", '"$1" & echo $!; wait $!; read _', "sh", true_path()]
    with recorder(tmp_path / "r.bpftape", "--follow-children", command=command, stdin=read) as running:
        os.close(read)
        pid = int(running.output.wait_for(r"^\d+$"))
        # The kernel frees a process behind a grace period of RCU; until then its pid means itself, but to a caller of clone3(2).
        eventually("the child was freed", lambda: not has_key(running.pid, "followed", pid))
        stranger = run_program(program("as_pid", pid, copy))
        assert stranger.output.split() == [str(pid)], stranger
        os.close(write)
        assert running.await_end() == 1, "read finds the end of its input"
    recording = Recording(running.path)
    assert [row["filename"] for row in recording.rows("exec", pid=pid)] == [true_path()]
    assert len(recording.rows("exit", pid=pid)) == 1
