"""Containers of podman, crun and runc, beside what these say of them; for the virtual machine that has them: ``make vm-test KERNEL=podman``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, Recording, Row, Running, launched, run_record
from tests.kernel.podman import (
    FOREVER,
    IMAGE,
    MANAGERS,
    Truth,
    contexts,
    detached,
    diary,
    inspected,
    make_bundle,
    make_image,
    make_root,
    make_user,
    podman,
    ran,
    run,
    started,
    state,
)
from tests.support import Cli

pytestmark = pytest.mark.podman

PORT = 8_080
SERVER = ("/bin/httpd", "-f", "-p", f"127.0.0.1:{PORT}", "-h", "/etc")
CLIENT = ("/bin/wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{PORT}/hostname")
BARE = "bare-crun"
BARE_ID = "0a8c1c0c61e3e2b2d4b2c9b1a6d87c5f1e0d3c4b5a69788796a5b4c3d2e1f009"
SCOPED_ID = BARE_ID[::-1]
# Containers of runtimes without podman: the runtime, what it calls the container, and its options.
ALONE = {"crun": ("crun", BARE), "runc": ("runc", BARE_ID), "crun-under-systemd": ("crun", SCOPED_ID, "--systemd-cgroup")}
LIFE_SECONDS = "0.05"
# How many programs are started in a container from outside of it, while there are recordings.
ENTERED = {"web": 2, "second": 3}
BEFORE = ("web", "twin", "second", "by-runc", "in-pod", "pod's infra")
USERS = {"users": "systemd"}
MEANWHILE = tuple(f"meanwhile-{manager}" for manager in MANAGERS)
SHORT = tuple((f"short-{number}", MANAGERS[number % 2]) for number in range(10))
BRIEF = tuple((f"brief-{manager}", manager) for manager in MANAGERS)


@dataclass(frozen=True)
class Seen:
    """Recordings of the same things that happened, with a container chosen in each way and without one (""), and what is true of containers."""

    recordings: dict[str, Recording]
    truths: dict[str, Truth]
    started: dict[str, dict[str, Any]]
    """What podman's diary has of containers' starts, by name."""

    @property
    def all(self) -> Recording:
        """Return the recording of everything."""
        return self.recordings[""]

    def report(self, cli: Cli, name: str, *words: str) -> list[Row]:
        """Return the rows of a report over everything."""
        done = cli("analyze", name, self.all.path, "--format", "json", *words, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        rows: list[Row] = json.loads(done.stdout)["rows"]
        return rows


def begin(stack: ExitStack, folder: Path) -> dict[str, Truth]:
    """Start what is there before there is a recording; return what is true of it."""
    stack.callback(podman, "rm", "--force", "--all", "--time", "0")
    make_root(folder / "root")
    make_image(folder / "root")
    started("web", "--hostname", "web-host", command=SERVER)
    started("twin", manager="cgroupfs")
    started("first", manager="cgroupfs")
    podman("rename", "first", "second")
    started("by-runc", "--runtime", "runc")
    stack.callback(podman, "pod", "rm", "--force", "--all")
    podman("pod", "create", "--name", "pod", "--network=none")
    podman("run", "--detach", "--pod", "pod", "--name", "in-pod", IMAGE, *FOREVER)
    infra = podman("pod", "inspect", "--format", "{{.InfraContainerID}}", "pod")
    for label, (runtime, name, *words) in ALONE.items():
        make_bundle(folder / label, runtime, f"host-of-{label}", *FOREVER)
        stack.enter_context(detached(runtime, name, folder / label, *words))
    known = {name: inspected(name) for name in BEFORE[:-1]} | {"pod's infra": inspected(infra)} | of_a_user(folder, stack)
    return known | {label: state(runtime, name) for label, (runtime, name, *_) in ALONE.items()}


def of_a_user(folder: Path, stack: ExitStack) -> dict[str, Truth]:
    """Start containers of a user who is not root; return what is true of them."""
    user = make_user()
    stack.callback(podman, "rm", "--force", "--all", "--time", "0", user=user)
    make_image(folder / "root", user)
    for name, manager in USERS.items():
        started(name, "--hostname", f"host-of-{name}", manager=manager, user=user)
    return {name: inspected(name, user) for name in USERS}


def happen(folder: Path) -> dict[str, Truth]:
    """Do what is to be recorded; return what is true of those containers that go on."""
    for name, count in ENTERED.items():
        for _ in range(count):
            podman("exec", name, "/bin/true")
    podman("exec", "web", *CLIENT)
    for manager in MANAGERS:
        started(f"meanwhile-{manager}", manager=manager)
    for name, manager in SHORT:
        ran(name, "/bin/true", manager=manager)
    for name, manager in BRIEF:
        ran(name, "/bin/sleep", LIFE_SECONDS, manager=manager)
    make_bundle(folder / "brief", "crun", "brief-crun", "/bin/sleep", LIFE_SECONDS)
    run("crun", "run", "--bundle", folder / "brief", "brief-crun")
    return {name: inspected(name) for name in MEANWHILE}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Record containers of all kinds, which go on until the tests of this file are done."""
    folder = tmp_path_factory.mktemp("podman")
    with ExitStack() as stack:
        truths = begin(stack, folder)
        web = truths["web"]
        chosen = {"name": "web", "id": web.container_id, "beginning of the id": web.container_id[:12], "host name": "web-host", "new name": "second"}
        running: dict[str, Running] = {}
        for how, word in {"": "", **chosen}.items():
            words = ("--container", word) if word else ()
            running[how] = stack.enter_context(launched(folder / f"{len(running)}.bpftape", "--ring-mib", 1, *words))
        for recorder in running.values():
            recorder.errors.wait_for("^recording ")
        truths |= happen(folder)
        recordings = {how: recorder.stop() for how, recorder in running.items()}
        yield Seen(recordings, truths, {event["Name"]: event for event in diary("start")})


def test_the_image_is_known_to_podman_by_the_name_that_is_expected(seen: Seen) -> None:
    assert seen.truths["web"].image == IMAGE
    assert {seen.started[name]["Image"] for name, _ in SHORT} == {IMAGE}
    paths = {name: seen.truths[name].cgroup_path for name in ("web", "twin", *MEANWHILE)}
    assert {name: path.split("/")[1] for name, path in paths.items()} == {
        "web": "machine.slice",
        "twin": "libpod_parent",
        "meanwhile-systemd": "machine.slice",
        "meanwhile-cgroupfs": "libpod_parent",
    }


@pytest.mark.parametrize("name", [*BEFORE, *USERS, *MEANWHILE])
def test_a_container_has_what_podman_says_of_it(seen: Seen, name: str) -> None:
    truth = seen.truths[name]
    last = contexts(seen.all, truth)[-1]
    assert {column: last[column] for column in truth.row} == truth.row
    assert (last["runtime"], last["source"]) == ("podman", "runtime file")


def test_two_containers_of_one_image_are_two(seen: Seen) -> None:
    web, twin = seen.truths["web"], seen.truths["twin"]
    assert web.image == twin.image
    assert {row["container_id"] for row in contexts(seen.all, web)} == {web.container_id}
    assert {row["container_id"] for row in contexts(seen.all, twin)} == {twin.container_id}


def test_a_renamed_container_has_its_new_name(seen: Seen) -> None:
    assert {row["name"] for row in contexts(seen.all, seen.truths["second"])} == {"second"}


def test_containers_of_a_pod_of_podmans_are_in_none_of_kubernetes(seen: Seen) -> None:
    member, infra = seen.truths["in-pod"], seen.truths["pod's infra"]
    assert member.cgroup_path.rsplit("/", 2)[0] == infra.cgroup_path.rsplit("/", 2)[0]
    rows = [*contexts(seen.all, member), *contexts(seen.all, infra)]
    assert {row["pod_uid"] for row in rows} == {None}
    assert {row["container_id"] for row in rows} == {member.container_id, infra.container_id}


def test_a_runtime_by_itself_has_no_names_but_its_own_ids(seen: Seen) -> None:
    (crun,), (runc,) = contexts(seen.all, seen.truths["crun"]), contexts(seen.all, seen.truths["runc"])
    assert {column: crun[column] for column in seen.truths["crun"].row} == seen.truths["crun"].row | {"container_id": None}
    assert {column: runc[column] for column in seen.truths["runc"].row} == seen.truths["runc"].row
    assert crun["cgroup_path"].rsplit("/", 1)[1] == BARE, "which is the id that crun knows it by"
    scoped = contexts(seen.all, seen.truths["crun-under-systemd"])[-1]
    assert {column: scoped[column] for column in seen.truths["crun-under-systemd"].row} == seen.truths["crun-under-systemd"].row
    assert f"crun-{SCOPED_ID}.scope" in scoped["cgroup_path"].split("/")
    assert [(row["runtime"], row["source"]) for row in (crun, runc, scoped)] == [(None, "kernel")] * 3


@pytest.mark.parametrize("name", [name for name, _ in (*SHORT, *BRIEF)])
def test_one_that_lives_for_a_moment_has_its_name(seen: Seen, name: str) -> None:
    rows = seen.all.rows("container", container_id=seen.started[name]["ID"])
    assert rows
    assert {(row["name"], row["image"], row["runtime"]) for row in rows} == {(name, IMAGE, "podman")}
    program = "/bin/true" if name.startswith("short") else "/bin/sleep"
    # The numbers of their namespaces come again.
    (executed,) = seen.all.rows("exec", filename=program, pid_ns_level=1, cgroup_id={row["cgroup_id"] for row in rows})
    (ended,) = seen.all.rows("exit", pid=executed["pid"], start_ns=executed["start_ns"])
    assert ended["exit_code"] == 0
    assert name.startswith("short") or ended["ts_ns"] - executed["ts_ns"] >= float(LIFE_SECONDS) * 1e9


def test_one_of_crun_by_itself_that_lives_for_a_moment_is_there(seen: Seen) -> None:
    rows = seen.all.rows("container", nodename="brief-crun")
    assert {row["cgroup_path"].rsplit("/", 1)[1] for row in rows} == {"brief-crun"}
    (executed,) = seen.all.rows("exec", filename="/bin/sleep", cgroup_id={row["cgroup_id"] for row in rows})
    assert executed["argv"] == ["/bin/sleep", LIFE_SECONDS]


@pytest.mark.parametrize("name", ENTERED)
def test_what_enters_by_podman_exec_is_in_the_container(seen: Seen, name: str) -> None:
    rows = seen.all.rows("exec", filename="/bin/true", pid_ns=seen.truths[name].pid_ns)
    assert {row["cgroup_id"] for row in rows} == {seen.truths[name].cgroup_id}
    assert len(rows) == ENTERED[name]


@pytest.mark.parametrize("how", ["name", "id", "beginning of the id", "host name", "new name"])
def test_a_container_that_is_chosen_is_recorded_and_nothing_else(seen: Seen, how: str) -> None:
    name = "second" if how == "new name" else "web"
    truth, recording = seen.truths[name], seen.recordings[how]
    for table in ("clone", "exec", "exit", "process", "container", "tcp_connect", "tcp_accept", "tcp_close"):
        others = [row for row in recording.table(table) if row["pid_ns"] != truth.pid_ns and row["cgroup_id"] != truth.cgroup_id]
        assert others == [], table
        assert len(recording.rows(table, **truth.place)) == len(seen.all.rows(table, **truth.place)), table
    assert len(recording.rows("exec", filename="/bin/true")) == ENTERED[name]
    assert contexts(recording, truth)[-1]["name"] == name


def test_the_name_from_before_finds_nothing(tmp_path: Path, seen: Seen) -> None:
    done = run_record("--output", tmp_path / "r.bpftape", "--duration", 1, "--container", "first")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --container first: no such container is running")
    assert seen.truths["second"].name == "second"


def test_a_connection_on_the_loopback_of_a_container_is_its_own(seen: Seen, cli: Cli) -> None:
    web = seen.truths["web"]
    (connect,) = seen.all.rows("tcp_connect", dport=PORT, daddr="127.0.0.1")
    (accept,) = seen.all.rows("tcp_accept", sport=PORT, saddr="127.0.0.1")
    assert {(row["pid_ns"], row["net_ns"], row["cgroup_id"]) for row in (connect, accept)} == {(web.pid_ns, web.net_ns, web.cgroup_id)}
    assert connect["outcome"] == "connected"
    (row,) = seen.report(cli, "container_connects")
    assert (row["container"], row["id"], row["image"], row["dport"], row["result"]) == ("web", web.container_id[:12], IMAGE, PORT, "connected")
    (row,) = [row for row in seen.report(cli, "service_map") if row["port"] == PORT]
    assert (row["client_container"], row["server_container"], row["client"], row["server"]) == ("web", "web", "wget", "httpd")
    assert (row["connections"], row["failed"]) == (1, 0)


def of_several(recording: Recording) -> set[str]:
    """Return the host names of who was in a pid namespace and in no container's cgroup, where the kernel gave its number to several containers."""
    rows = recording.table("container")
    numbers = Counter(pid_ns for pid_ns, _ in {(row["pid_ns"], row["container_id"]) for row in rows if row["container_id"]})
    return {row["nodename"] for row in rows if row["container_id"] is None and numbers[row["pid_ns"]] > 1}


def test_the_report_of_containers_has_each_one_once(seen: Seen, cli: Cli) -> None:
    bare = {"host-of-crun": (None, None, None), "host-of-runc": (BARE_ID[:12], None, None), "brief-crun": (None, None, None)}
    bare |= {"host-of-crun-under-systemd": (SCOPED_ID[:12], None, None)}
    nobodys = of_several(seen.all) - set(bare)
    rows = [row for row in seen.report(cli, "containers") if row["id"] or row["container"] not in nobodys]
    found = {row["container"]: (row["id"], row["runtime"], row["image"]) for row in rows}
    known = [truth for truth in seen.truths.values() if truth.name]
    going_on = {truth.name: (truth.container_id[:12], "podman", truth.image) for truth in known}
    short = {name: (seen.started[name]["ID"][:12], "podman", IMAGE) for name, _ in (*SHORT, *BRIEF)}
    assert found == going_on | short | bare
    assert len(rows) == len(found)
    (web,) = [row for row in rows if row["container"] == "web"]
    assert (web["connects"], web["accepts"], web["failed"]) == (1, 1, 0)


def test_the_report_of_their_processes_says_what_ran_in_which(seen: Seen, cli: Cli) -> None:
    # Runtimes have processes of their own in a container, for a moment.
    rows = [row for row in seen.report(cli, "container_processes") if row["argv"] and row["argv"][0].startswith("/bin/")]
    ended = [(row["container"], row["ended"], row["argv"]) for row in rows if row["ended"] != "no end seen"]
    alone = [(name, "exit 0", ["/bin/true"]) for name, _ in SHORT]
    asleep = [(name, "exit 0", ["/bin/sleep", LIFE_SECONDS]) for name in ("brief-crun", *dict(BRIEF))]
    entered = [(name, "exit 0", ["/bin/true"]) for name, count in ENTERED.items() for _ in range(count)] + [("web", "exit 0", list(CLIENT))]
    assert sorted(ended) == sorted([*alone, *asleep, *entered])
