"""A recorder that the kernel kills for its memory leaves what any kill leaves. One that is refused memory says which options take it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kernel.bpf_ids import exists, held
from tests.kernel.container_box import KINDS, cgroup, inside
from tests.kernel.harness import Spawner, eventually, launched, run_record
from tests.kernel.left import Load, assert_says_what_is_missing, entered

LIMIT_MIB = 80
"""Less than a recorder takes together with its compiler, and less than its rings."""
STEP = 64 << 10
# A group's files in cgroup v1 and v2: its limit, and those that count kills.
FILES = {
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
    "cgroup2": ("memory.max", "memory.current", "memory.events"),
}


@pytest.fixture
def group() -> Iterator[Path]:
    with cgroup(KINDS[-1]) as made:  # v1's memory controller, where there is one
        yield made


def kills(group: Path) -> int:
    lines = (line.split() for line in (group / FILES[KINDS[-1]][2]).read_text().splitlines())
    return next(int(count) for name, count in lines if name == "oom_kill")


def leave_less(group: Path) -> None:
    """Leave a group less memory than it takes."""
    limit, usage, _ = (group / name for name in FILES[KINDS[-1]])
    with suppress(OSError):  # v1 refuses a limit below what cannot be taken away
        limit.write_text(str(int(usage.read_text()) - STEP))


def is_killed(group: Path) -> bool:
    """Say whether the kernel has killed what is in a group, nobody but the recorder; leave that less and less memory until then."""
    leave_less(group)
    return kills(group) > 0


@pytest.mark.long
def test_a_recorder_that_is_killed_for_its_memory_leaves_what_it_had_closed(tmp_path: Path, group: Path) -> None:
    path = tmp_path / "r.bpftape"
    options = ["--segment-seconds", 1, "--tracers", "clone"]
    with Spawner() as spawner, Load(spawner) as load, launched(path, *options, wrapper=inside(group)) as running:
        running.errors.wait_for("^recording ")
        objects = held(running.pid)
        eventually("rows are in closed segments", lambda: b'"exec/' in entered(path))
        before = entered(path)
        eventually("the kernel has killed it", lambda: is_killed(group))
        assert running.await_end() == -signal.SIGKILL
    eventually("all BPF objects are gone", lambda: not any(exists(*item) for item in objects))
    assert "unfinished" in assert_says_what_is_missing(path, before, load)


@pytest.mark.long
def test_who_is_refused_memory_is_told_what_takes_it(tmp_path: Path, group: Path) -> None:
    options = ["--tracers", "clone", "--ring-mib", 64, "--duration", 0.1, "--output", tmp_path / "r.bpftape"]
    assert run_record(*options).returncode == 0, "and what was compiled is kept"
    before = entered(tmp_path / "r.bpftape")
    (group / FILES[KINDS[-1]][0]).write_text(str(LIMIT_MIB << 20))
    for env, said in (
        ({}, "cannot be made: Cannot allocate memory; a smaller --ring-mib or --sockets takes less\n"),
        ({"BPFTAPE_CACHE": "/nowhere"}, "the compiler was ended by signal 9: out of memory, if nobody else did it\n"),
    ):
        done = run_record("--force", *options, wrapper=inside(group), env=env)
        assert done.returncode == 70, done.stderr
        assert said in done.stderr
    assert entered(tmp_path / "r.bpftape") == before
    assert len(list(tmp_path.iterdir())) == 1
