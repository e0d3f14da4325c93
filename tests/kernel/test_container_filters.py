"""--container and --containers-only choose in the kernel: rows of these containers come, all of them, and no others."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.container_box import IS_HYBRID, KINDS, Box, cgroup
from tests.kernel.harness import Recording, Running, Spawner, launched, program, recorder, run_record, true_path

# Other ones in each run: who runs the tests beside these ones is not to see these containers as theirs.
ID = secrets.token_hex(32)
NEAR_ID = ID[:12] + "0" * 52
OTHER_ID = secrets.token_hex(32)
V1_ID = secrets.token_hex(32)
BARE = f"bare-{os.getpid()}"
EVENTS = ("clone", "exec", "exit")
# Three containers, on a hybrid host a fourth that only v1 knows, and a process of the host; each starts a program so many times.
RUNS = {"bare": 7, "docker": 5, "other": 3, "host": 9} | ({"in v1": 6} if IS_HYBRID else {})
# Besides, some start a program two namespaces further down, or in a cgroup below their own.
FURTHER = {"bare": 4, "docker": 2, "other": 0, "host": 0, "in v1": 0}

OPTIONS: dict[str, list[str]] = {
    "host name": ["--container", BARE],
    "beginning of an id": ["--container", ID[:13]],
    "two": ["--container", BARE, "--container", OTHER_ID],
    "all": ["--containers-only"],
    **({"in v1": ["--container", V1_ID[:13]]} if IS_HYBRID else {}),
    "and a name": ["--container", BARE, "--comm", "true", "--tracers", "clone,container"],
}
WANTED = {
    "host name": {"bare"},
    "beginning of an id": {"docker"},
    "two": {"bare", "other"},
    "all": {"bare", "docker", "other"} | ({"in v1"} if IS_HYBRID else set()),
    "in v1": {"in v1"},
    "and a name": {"bare"},
}
WITHOUT_NAME = [name for name in OPTIONS if name != "and a name"]


@dataclass(frozen=True)
class Filtered:
    """A recording for each set of options, of the same things that happened; the spawners by name, and the ports of the connect in each."""

    recordings: dict[str, Recording]
    spawners: dict[str, int]
    ports: dict[str, dict[str, int]]
    boxes: dict[str, Box]
    below: int
    """The inode of the cgroup below that of the container with an id."""


UNSHARE = ("/usr/bin/unshare", "--pid", "--fork", "--")


def in_group(folder: Path) -> list[str]:
    return ["/bin/sh", "-c", 'echo 0 >"$1" && exec "$2"', "sh", str(folder / "cgroup.procs"), true_path()]


def happen(spawners: dict[str, Spawner], below: Path, folder: Path) -> dict[str, dict[str, int]]:
    ports = {}
    for name, spawner in spawners.items():
        spawner.spawn(RUNS[name], true_path())
        spawner.spawn(1, *program("container_connect", folder / name))
        ports[name] = json.loads((folder / name).read_text())
    spawners["bare"].spawn(FURTHER["bare"], *UNSHARE, *UNSHARE, true_path())
    spawners["docker"].spawn(FURTHER["docker"], *in_group(below))
    return ports


def asked_for(session: pytest.Session) -> list[str]:
    """Return the sets of options that the tests to be run are about."""
    tests = [item for item in session.items if item.path == Path(__file__) and isinstance(item, pytest.Function) and "filtered" in item.fixturenames]
    named = {item.callspec.params["option"] if hasattr(item, "callspec") else None for item in tests}
    return [name for name in OPTIONS if None in named or name in named]


@pytest.fixture(scope="module")
def filtered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filtered]:
    """Record a container without an id, one with an id in each kind of cgroup, and the host, with each set of options at the same time."""
    folder = tmp_path_factory.mktemp("filters")
    with ExitStack() as stack:
        places = {"bare": (KINDS[0], "bare"), "docker": (KINDS[-1], "docker", ID), "other": (KINDS[0], f"docker-{OTHER_ID}.scope")}
        groups = {name: stack.enter_context(cgroup(*place)) for name, place in places.items()}
        below = groups["docker"] / "init.scope"
        below.mkdir()
        hostnames = {"bare": BARE, "docker": "with-an-id", "other": "with-an-id"}
        boxes = {name: stack.enter_context(Box(groups[name], hostname=hostname)) for name, hostname in hostnames.items()}
        if IS_HYBRID:
            in_v1, unified = (
                stack.enter_context(cgroup(kind, name)) for kind, name in (("memory", f"docker-{V1_ID}.scope"), ("cgroup2", "engine.service"))
            )
            boxes["in v1"] = stack.enter_context(Box(in_v1, hostname="only-in-v1", unified=unified))
        spawners: dict[str, Spawner] = {**boxes, "host": stack.enter_context(Spawner())}
        running: dict[str, Running] = {}
        for name in asked_for(request.session):
            path = folder / f"{name.replace(' ', '-')}.bpftape"
            running[name] = stack.enter_context(launched(path, "--ring-mib", 1, *OPTIONS[name]))
        for recorder in running.values():
            recorder.errors.wait_for("^recording ")
        ports = happen(spawners, below, folder)
        recordings = {name: recorder.stop() for name, recorder in running.items()}
        pids = {name: box.init for name, box in boxes.items()} | {"host": spawners["host"].pid}
        yield Filtered(recordings, pids, ports, boxes, below.stat().st_ino)


@pytest.mark.parametrize("option", WITHOUT_NAME)
def test_tasks_of_the_containers_wanted_are_recorded_and_no_others(filtered: Filtered, option: str) -> None:
    recording = filtered.recordings[option]
    for name, pid in filtered.spawners.items():
        wanted = name in WANTED[option]
        expected = (RUNS[name] + 1 + FURTHER[name]) * wanted
        assert len(recording.rows("clone", pid=pid)) == expected, name
        assert len(recording.rows("exit", ppid=pid)) == expected, name
        # The two below the container start a shell, which starts the program.
        assert len(recording.rows("exec", ppid=pid)) == expected + (FURTHER[name] * wanted if name == "docker" else 0), name
        assert len(recording.rows("process", pid=pid)) == wanted, name
    assert {recording.lost(table) for table in EVENTS} == {0}


@pytest.mark.parametrize("option", [name for name in WITHOUT_NAME if name != "all"])
def test_nothing_else_on_the_host_is_in_the_tables(filtered: Filtered, option: str) -> None:
    recording = filtered.recordings[option]
    boxes = [filtered.boxes[name] for name in WANTED[option]]
    spaces = {box.namespaces["pid"] for box in boxes}
    forked_from = {box.process.pid for box in boxes}  # unshare(1), which is in the cgroup and in the host's pid namespace
    for table in (*EVENTS, "process", "container", "tcp_connect", "tcp_accept", "tcp_close"):
        assert {row["pid_ns"] for row in recording.table(table) if row["pid"] not in forked_from and row["pid_ns_level"] < 2} == spaces, table
    assert recording.table("tcp_socket") == []


@pytest.mark.parametrize("option", WITHOUT_NAME)
def test_connections_of_the_containers_wanted_are_recorded_and_no_others(filtered: Filtered, option: str) -> None:
    recording = filtered.recordings[option]
    for name, ports in filtered.ports.items():
        count = int(name in WANTED[option])
        there = {"net_ns": filtered.boxes[name].namespaces["net"]} if name in filtered.boxes else {"pid_ns_level": 0}
        turned = {"sport": ports["dport"], "dport": ports["sport"]}
        assert len(recording.rows("tcp_connect", **there, **ports)) == count, name
        assert len(recording.rows("tcp_accept", **there, **turned)) == count, name
        assert len(recording.rows("tcp_close", **there, **ports)) == count, name
        assert len(recording.rows("tcp_close", **there, **turned)) == count, name


@pytest.mark.parametrize("option", OPTIONS)
def test_contexts_of_the_containers_wanted_are_there(filtered: Filtered, option: str) -> None:
    recording = filtered.recordings[option]
    for name, box in filtered.boxes.items():
        assert {row["nodename"] for row in box.rows(recording)} == ({box.hostname} if name in WANTED[option] else set()), name


def test_what_runs_in_a_cgroup_below_that_of_the_container_belongs_to_it(filtered: Filtered) -> None:
    for option in ("beginning of an id", "all"):
        recording = filtered.recordings[option]
        assert len(recording.rows("exec", cgroup_id=filtered.below, filename=true_path())) == 2
        (row,) = recording.rows("container", cgroup_id=filtered.below)
        assert (row["container_id"], row["pid_ns"]) == (ID, filtered.boxes["docker"].namespaces["pid"])


def test_what_runs_in_a_pid_namespace_nested_in_that_of_the_container_belongs_to_it(filtered: Filtered) -> None:
    for option in ("host name", "two"):
        recording = filtered.recordings[option]
        rows = recording.rows("exec", filename=true_path(), pid_ns_level=3)
        assert len(rows) == FURTHER["bare"], option
        assert {row["pid_ns"] for row in recording.rows("container", pid_ns_level=3)} == {row["pid_ns"] for row in rows}, option
        assert len(recording.rows("exit", pid_ns_level=2)) == FURTHER["bare"], option
    assert filtered.recordings["beginning of an id"].rows("exec", pid_ns_level=3) == []


def test_a_container_and_a_name_must_both_hold(filtered: Filtered) -> None:
    recording = filtered.recordings["and a name"]
    comm = Path(true_path()).name
    assert {row["comm"] for table in EVENTS for row in recording.table(table)} == {comm}
    assert len(recording.rows("exec", ppid=filtered.spawners["bare"])) == RUNS["bare"]
    assert len(recording.table("exec")) == RUNS["bare"] + FURTHER["bare"]
    assert recording.table("clone") == recording.table("tcp_connect") == []


def test_the_recording_says_what_it_was_restricted_to(filtered: Filtered) -> None:
    found = {name: recording.about()["filters"] for name, recording in filtered.recordings.items()}
    assert found["two"] == [f"container={BARE}", f"container={OTHER_ID}"]
    assert found["all"] == ["containers-only"]
    assert sorted(found["and a name"]) == ["comm=true", f"container={BARE}"]


def refused(path: Path, name: str) -> tuple[str, str]:
    done = run_record("--output", path, "--duration", 1, "--container", name)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: --container {name}: ")
    assert not path.exists()
    return error, hint


def test_a_name_that_is_none_is_refused_with_near_ones(tmp_path: Path) -> None:
    with cgroup(KINDS[0], "bare") as group, Box(group, hostname=BARE):
        error, hint = refused(tmp_path / "r.bpftape", BARE.replace("bare", "baer"))
        assert "no such container is running" in error
        assert BARE in hint
        assert refused(tmp_path / "r.bpftape", os.uname().nodename), "the host is no container"


def test_a_beginning_of_two_ids_is_refused_with_both(tmp_path: Path) -> None:
    with cgroup(KINDS[0], "docker") as group:
        (group / ID).mkdir()
        (group / NEAR_ID).mkdir()
        with Box(group / ID), Box(group / NEAR_ID):
            error, hint = refused(tmp_path / "r.bpftape", ID[:12])
    assert "the ids of several containers begin so" in error
    assert ID[:16] in hint
    assert NEAR_ID[:16] in hint


def test_filters_by_process_leave_the_names_of_containers_in(tmp_path: Path) -> None:
    # A worker may change its user or its name long after it was born: what it does then is wanted, and so is where it does it.
    command = ["unshare", "--pid", "--fork", "--uts", "--mount-proc", *program("container_hostname", b"web-1".hex(), "exit")]
    with recorder(tmp_path / "r.bpftape", "--tracers", "clone,container", "--comm", "nobody-has-it") as running:
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        recording = running.stop()
    assert "web-1" in {row["nodename"] for row in recording.table("container")}
    assert [recording.table(table) for table in EVENTS] == [[], [], []]
