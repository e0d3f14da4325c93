"""A recorder that the kernel kills for its memory leaves what any kill leaves. One that is refused memory says which options take it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.bpf_ids import exists, held
from tests.kernel.container_box import KINDS, cgroup, inside
from tests.kernel.harness import Spawner, eventually, launched, program, run_record
from tests.kernel.left import Load, assert_says_what_is_missing, entered
from tests.kernel.net import Program

HOG_MIB = 100
# A group's files in cgroup v1 and v2: its limit, and those that count kills.
FILES = {
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
    "cgroup2": ("memory.max", "memory.current", "memory.events"),
}


@pytest.fixture
def group() -> Iterator[Path]:
    with cgroup(KINDS[-1]) as made:  # v1's memory controller, where there is one
        yield made


def first_to_die(group: Path) -> list[str]:
    """Return the words that start what follows them in a cgroup, whose kernel kills it before others."""
    return [*inside(group), "choom", "--adjust", "1000", "--"]


def kills(group: Path) -> int:
    lines = (line.split() for line in (group / FILES[KINDS[-1]][2]).read_text().splitlines())
    return next(int(count) for name, count in lines if name == "oom_kill")


@pytest.mark.long  # the kernel may take the other process as well, and then this test says nothing
def test_a_recorder_that_is_killed_for_its_memory_leaves_what_it_had_closed(tmp_path: Path, group: Path) -> None:
    limit, usage, _ = FILES[KINDS[-1]]
    path = tmp_path / "r.bpftape"
    options = ["--segment-seconds", 1, "--tracers", "clone"]
    with Spawner() as spawner, Load(spawner) as load, launched(path, *options, wrapper=first_to_die(group)) as running:
        running.errors.wait_for("^recording ")
        objects = held(running.pid)
        eventually("rows are in closed segments", lambda: b'"exec/' in entered(path))
        (group / limit).write_text(str(int((group / usage).read_text()) + (HOG_MIB << 19)))
        with Program([*inside(group), *program("memory_hog", HOG_MIB)]) as hog:
            while not kills(group):
                assert hog.process.poll() is None
            # What the recorder had comes back a few ms later, and until then the kernel would kill the other one as well.
            (group / limit).write_text(str(HOG_MIB << 22))
            hog.hear()
            assert running.await_end() == -signal.SIGKILL
            before = entered(path)
            assert hog.end() == 0
    assert kills(group) > 0
    eventually("all BPF objects are gone", lambda: not any(exists(*item) for item in objects))
    assert "unfinished" in assert_says_what_is_missing(path, before, load)


@pytest.mark.long
def test_who_is_refused_memory_is_told_what_takes_it(tmp_path: Path, group: Path) -> None:
    options = ["--tracers", "clone", "--ring-mib", 64, "--duration", 0.1, "--output", tmp_path / "r.bpftape"]
    assert run_record(*options).returncode == 0, "and what was compiled is kept"
    before = entered(tmp_path / "r.bpftape")
    (group / FILES[KINDS[-1]][0]).write_text(str(100 << 20))
    for env, said in (
        ({}, "cannot be made: Cannot allocate memory; a smaller --ring-mib or --sockets takes less\n"),
        ({"BPFTAPE_CACHE": "/nowhere"}, "the compiler was ended by signal 9: out of memory, if nobody else did it\n"),
    ):
        done = run_record("--force", *options, wrapper=inside(group), env=env)
        assert done.returncode == 70, done.stderr
        assert said in done.stderr
    assert entered(tmp_path / "r.bpftape") == before
    assert len(list(tmp_path.iterdir())) == 1
