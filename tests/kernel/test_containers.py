"""A row for each container context, from the kernel at event time. What is true is what /proc and the cgroup file systems say."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.container_box import ALL_NAMESPACES, IS_HYBRID, KINDS, ONLY_HYBRID, Box, cgroup, inside, namespace, path_of
from tests.kernel.harness import Recording, Row, Spawner, program, recorder, run_program, true_path
from tests.support import Cli

HOST = os.uname().nodename
# Other ones in each run: who runs the tests beside these ones is not to see these containers as theirs.
ID = secrets.token_hex(32)
OTHER_ID = secrets.token_hex(32)
LONGEST_HOSTNAME = "h" * 64
ODD_HOSTNAME = b"\x1b[31mred\xff\n"
ODD_GROUP = b"\x1b[2Jodd\xff \r"
DEPTH = 40
SOMEBODY = 100_000 + os.getpid()
COUNT = 300
MORE_THAN_A_RING = 500
CONNECT = "container_connect"
# On a hybrid host: the parts of a path in v1's hierarchy, beside which v2 has another group, and the namespaces.
IN_V1: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "docker in v1": (("docker", ID), ALL_NAMESPACES),
    "level 0 in v1": ((f"docker-{ID}.scope",), ("--mount",)),
    "lxc in v1": (("lxc.payload.web", "init.scope"), ALL_NAMESPACES),
    "named in both": (("docker", ID), ALL_NAMESPACES),
    "private mounts in v1": (("private.service",), ("--mount",)),
}


@dataclass(frozen=True)
class Short:
    """What is known of a container that lived for one program: its cgroup, and the process that unshare(1) forked from."""

    group: Path
    inode: int
    path: str
    unshare: int
    unified: Path | None = None


@dataclass
class Seen:
    """One recording of many containers, and what was true of them."""

    recording: Recording
    boxes: dict[str, Box]
    shorts: dict[str, Short]
    facts: dict[str, Any]
    """The inodes of the boxes' cgroups, and what programs in them said."""

    def rows(self, name: str) -> list[Row]:
        """Return the rows of a box, or of a container that lived for one program, in the order of time."""
        if name in self.boxes:
            return self.boxes[name].rows(self.recording)
        short = self.shorts[name]
        group = short.unified or short.group
        found = self.recording.rows("container", cgroup_id=group.stat().st_ino)
        # On a host with v1 and v2 a group of the one may have the number of one of the other.
        return sorted((row for row in found if row["cgroup_path"] == path_of(group)), key=lambda row: int(row["ts_ns"]))


def run_short(group: Path, *flags: str, unified: Path | None = None) -> Short:
    """Run one program in namespaces and a cgroup of its own, to its end; with another one in v2 where the cgroup is one of v1."""
    with subprocess.Popen([*inside(group, unified), *(["unshare", *flags, "--"] if flags else []), true_path()]) as process:
        assert process.wait() == 0
    return Short(group, group.stat().st_ino, path_of(group), process.pid, unified)


def host_process_connects_in(box: Box, ports: Path) -> int:
    done = run_program(["/usr/bin/nsenter", f"--net=/proc/{box.init}/ns/net", *program(CONNECT, ports)])
    assert done.status == 0
    return done.pid


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Record containers of all kinds, which go on until the tests of this file are done."""
    folder = tmp_path_factory.mktemp("containers")
    with ExitStack() as stack:
        enter = stack.enter_context

        def group(kind: str, *parts: str | bytes) -> Path:
            return enter(cgroup(kind, *parts))

        some_kind = KINDS[0]
        boxes = {"there before": enter(Box(group(some_kind, "before"), hostname="there-before"))}
        host = enter(Spawner())
        running = enter(recorder(folder / "r.bpftape"))
        shorts = {}
        for kind in KINDS:
            boxes[kind] = enter(Box(group(kind, "box")))
            shorts[f"docker {kind}"] = run_short(group(kind, "docker", ID), *ALL_NAMESPACES)
            shorts[f"level 0 {kind}"] = run_short(group(kind, f"docker-{OTHER_ID}.scope"), "--mount")
            shorts[f"below level 0 {kind}"] = run_short(group(kind, f"docker-{OTHER_ID}.scope", "init.scope"), "--mount")
            shorts[f"private mounts {kind}"] = run_short(group(kind, "private.service"), "--mount")
            shorts[f"other namespaces {kind}"] = run_short(group(kind, "other.service"), "--uts", "--net", "--mount")
            shorts[f"conmon {kind}"] = run_short(group(kind, f"libpod-conmon-{ID}.scope"), "--mount")
            shorts[f"runtime's own {kind}"] = run_short(group(kind, f"docker-{ID}.scope"))
        if IS_HYBRID:
            for number, (name, (parts, flags)) in enumerate(IN_V1.items()):
                unified = group("cgroup2", *(("docker", OTHER_ID) if name == "named in both" else (f"engine-{number}.service",)))
                shorts[name] = run_short(group("memory", *parts), *flags, unified=unified)
        for kind in KINDS:
            mine = group(kind, "mine", f"docker-{ID}.scope", "init.scope")
            os.chown(mine.parent.parent, SOMEBODY, -1)
            shorts[f"delegated {kind}"] = run_short(mine, *ALL_NAMESPACES)
            given = group(kind, f"docker-{ID}.scope", "init.scope")
            os.chown(given.parent, SOMEBODY, -1)
            shorts[f"given {kind}"] = run_short(given, *ALL_NAMESPACES)
        box = boxes[some_kind]
        box.run(3)
        for hostname, how in (("named-late", "exit"), ("named-again", "clone"), (LONGEST_HOSTNAME, "exit")):
            box.name(hostname, how)
        box.spawn(1, "/usr/bin/unshare", "--pid", "--fork", "--uts", *program("container_hostname", b"nested".hex(), "exit"))
        box.spawn(1, *program(CONNECT, folder / "inside.json"))
        facts: dict[str, Any] = {"host pid_ns": namespace(os.getpid(), "pid"), "host spawner": host.pid}
        facts["entered"] = host_process_connects_in(box, folder / "entered.json")
        shared = group(some_kind, "shared")
        for name in ("twin", "other twin"):
            boxes[name] = enter(Box(shared, hostname="twins"))
        boxes["odd"] = enter(Box(group(some_kind, ODD_GROUP, "x" * 255), hostname=ODD_HOSTNAME))
        boxes["deep"] = enter(Box(group(some_kind, *(f"level-{number}" for number in range(DEPTH)))))
        boxes["long"] = enter(Box(group(some_kind, *(f"{number:y>255}" for number in range(15)))))
        host.spawn(5, true_path())
        many = run_program(program("container_many", COUNT))
        assert many.status == 0
        facts |= {"many": json.loads(many.output), "many's parent": many.pid}
        recording = running.stop()
        facts |= {name: json.loads((folder / f"{name}.json").read_text()) for name in ("inside", "entered")} | {"entered pid": facts["entered"]}
        yield Seen(recording, boxes, shorts, facts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_namespaces_that_proc_has_and_the_cgroup_that_its_file_system_has(seen: Seen, kind: str) -> None:
    box = seen.boxes[kind]
    first = seen.rows(kind)[0]
    assert {name: first[f"{name}_ns"] for name in ("pid", "uts", "mnt", "net")} == box.namespaces
    assert len(set(box.namespaces.values()) | {namespace(os.getpid(), name) for name in box.namespaces}) == 8
    assert (first["pid"], first["ppid"], first["pid_ns_level"], first["uid"]) == (box.init, box.process.pid, 1, os.getuid())
    assert (first["cgroup_id"], first["cgroup_path"]) == (box.group.stat().st_ino, path_of(box.group))
    assert (first["container_id"], first["runtime"], first["name"], first["image"], first["pod_uid"], first["source"]) == (*([None] * 5), "kernel")


def test_the_last_row_has_the_last_host_name_and_the_first_one_the_hosts_own(seen: Seen) -> None:
    rows = seen.rows(KINDS[0])
    assert [row["nodename"] for row in rows] == [HOST, "named-late", "named-again", LONGEST_HOSTNAME]
    assert {row["uts_ns"] for row in rows} == {seen.boxes[KINDS[0]].namespaces["uts"]}


def test_a_new_host_name_is_noticed_at_the_next_clone_or_exit(seen: Seen) -> None:
    _, late, again, _ = seen.rows(KINDS[0])
    (exit_row,) = seen.recording.rows("exit", pid=late["pid"], start_ns=late["start_ns"])
    assert late["ts_ns"] <= exit_row["ts_ns"] + 1_000_000_000
    assert late["ppid"] == seen.boxes[KINDS[0]].init
    (clone_row,) = seen.recording.rows("clone", child_pid=again["pid"])
    (maker,) = seen.recording.rows("clone", child_pid=clone_row["pid"], pid=seen.boxes[KINDS[0]].init)
    assert maker["ts_ns"] < clone_row["ts_ns"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_of_one_short_program_is_named_by_its_cgroup(seen: Seen, kind: str) -> None:
    short = seen.shorts[f"docker {kind}"]
    rows = seen.rows(f"docker {kind}")
    assert {(row["container_id"], row["runtime"], row["cgroup_path"]) for row in rows} == {(ID, "docker", short.path)}
    (row,) = [row for row in rows if row["pid"] != short.unshare]  # unshare(1) was in the cgroup and had the mount namespace already
    assert (row["ppid"], row["pid_ns_level"], row["nodename"]) == (short.unshare, 1, HOST)
    assert row["pid_ns"] not in (None, seen.facts["host pid_ns"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_in_the_hosts_pid_namespace_is_known_by_its_cgroup_or_one_above(seen: Seen, kind: str) -> None:
    for name in (f"level 0 {kind}", f"below level 0 {kind}"):
        short = seen.shorts[name]
        (row,) = seen.rows(name)
        assert (row["pid"], row["pid_ns"], row["pid_ns_level"]) == (short.unshare, seen.facts["host pid_ns"], 0)
        assert row["mnt_ns"] != namespace(os.getpid(), "mnt")
        assert (row["container_id"], row["runtime"], row["cgroup_path"]) == (OTHER_ID, "docker", short.path)


@ONLY_HYBRID
@pytest.mark.parametrize(("name", "known"), [("docker in v1", (ID, "docker")), ("level 0 in v1", (ID, "docker")), ("lxc in v1", ("web", "lxc"))])
def test_a_container_that_only_v1_knows_is_named_by_its_cgroup_there(seen: Seen, name: str, known: tuple[str, str]) -> None:
    short = seen.shorts[name]
    assert short.unified
    row = max(seen.rows(name), key=lambda row: int(row["pid_ns_level"]))
    assert (row["container_id"], row["runtime"]) == known
    assert (row["cgroup_id"], row["cgroup_path"]) == (short.unified.stat().st_ino, path_of(short.unified))
    assert (row["memory_cgroup_id"], row["memory_cgroup_path"]) == (short.inode, short.path)
    assert row["pid_ns_level"] == (0 if name == "level 0 in v1" else 1)
    (exit_row,) = seen.recording.rows("exit", pid=row["pid"], start_ns=row["start_ns"])
    assert exit_row["cgroup_id"] == row["cgroup_id"], "which other tables have"


@ONLY_HYBRID
def test_v2_tells_whose_cgroup_it_is_where_v1_has_another_containers(seen: Seen) -> None:
    assert {row["container_id"] for row in seen.rows("named in both")} == {OTHER_ID}
    assert {row["memory_cgroup_id"] for row in seen.rows("named in both")} == {seen.shorts["named in both"].inode}


@ONLY_HYBRID
def test_a_private_mount_namespace_is_no_container_in_v1_either(seen: Seen) -> None:
    short = seen.shorts["private mounts in v1"]
    assert short.unified
    assert seen.recording.rows("exit", cgroup_id=short.unified.stat().st_ino), "it ran while it was recorded"
    assert seen.rows("private mounts in v1") == []


@ONLY_HYBRID
def test_the_group_in_v1_is_said_where_it_is_another_one(seen: Seen) -> None:
    assert {(row["memory_cgroup_id"], row["memory_cgroup_path"]) for row in seen.rows("memory")} == {(None, None)}
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    (path,) = [line.split(":", 2)[2] for line in lines if "memory" in line.split(":")[1].split(",")]
    assert {row["memory_cgroup_path"] for row in seen.rows("cgroup2")} == {path}


@pytest.mark.parametrize("what", ["private mounts", "other namespaces", "conmon", "runtime's own"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_container_makes_no_row(seen: Seen, kind: str, what: str) -> None:
    short = seen.shorts[f"{what} {kind}"]
    assert seen.recording.rows("exit", cgroup_id=short.inode), "it ran while it was recorded"
    assert seen.rows(f"{what} {kind}") == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_a_user_may_have_named_is_marked(seen: Seen, kind: str) -> None:
    for name, uid in ((f"delegated {kind}", SOMEBODY), (f"given {kind}", None), (f"docker {kind}", None)):
        rows = seen.rows(name)
        assert rows, name
        assert {(row["container_id"], row["delegated_uid"]) for row in rows} == {(ID, uid)}, name


def test_processes_of_the_host_make_no_rows(seen: Seen) -> None:
    rows = seen.recording.table("container")
    assert not [row for row in rows if seen.facts["host spawner"] in (row["pid"], row["ppid"])]
    assert {row["container_id"] is not None for row in rows if row["pid_ns_level"] == 0} == {True}
    assert seen.facts["host pid_ns"] not in {row["pid_ns"] for row in rows if row["pid_ns_level"] > 0}


def test_containers_that_were_there_before_are_in_it(seen: Seen) -> None:
    box = seen.boxes["there before"]
    row, *later = seen.rows("there before")
    assert (row["pid"], row["nodename"], row["pid_ns_level"]) == (box.init, "there-before", 1)
    assert {name: row[f"{name}_ns"] for name in box.namespaces} == box.namespaces
    assert row["cgroup_path"] == path_of(box.group)
    assert row["ts_ns"] <= seen.recording.about()["start_ns"]
    assert later == []


def test_a_container_in_a_container_is_one_level_deeper(seen: Seen) -> None:
    box = seen.boxes[KINDS[0]]
    first, *_, last = sorted(seen.recording.rows("container", pid_ns_level=2, cgroup_id=box.group.stat().st_ino), key=lambda row: int(row["ts_ns"]))
    assert (first["nodename"], last["nodename"]) == (LONGEST_HOSTNAME, "nested")
    assert first["pid_ns"] == last["pid_ns"] != box.namespaces["pid"]
    assert first["uts_ns"] == last["uts_ns"] != box.namespaces["uts"]


def test_two_containers_in_one_cgroup_with_one_host_name_are_two(seen: Seen) -> None:
    one, other = seen.rows("twin"), seen.rows("other twin")
    assert one[-1]["cgroup_id"] == other[-1]["cgroup_id"]
    assert one[-1]["nodename"] == other[-1]["nodename"] == "twins"
    assert not {(row["pid_ns"], row["uts_ns"], row["net_ns"]) for row in one} & {(row["pid_ns"], row["uts_ns"], row["net_ns"]) for row in other}
    assert {one[0]["pid"], other[0]["pid"]} == {seen.boxes["twin"].init, seen.boxes["other twin"].init}


def test_names_of_any_bytes_and_length_are_kept(seen: Seen) -> None:
    row = seen.rows("odd")[-1]
    assert row["nodename"] == ODD_HOSTNAME.decode("utf-8", "replace")
    assert row["cgroup_path"] == path_of(seen.boxes["odd"].group)
    assert row["cgroup_path"].endswith(ODD_GROUP.decode("utf-8", "replace") + "/" + "x" * 255)


def test_a_path_that_is_too_long_keeps_its_last_kilobyte_in_whole_names_and_says_so(seen: Seen) -> None:
    (row,) = seen.rows("long")
    kept = row["cgroup_path"].removeprefix("…")
    assert row["cgroup_path"] == "…" + kept
    assert path_of(seen.boxes["long"].group).endswith(kept)
    assert {len(name) for name in kept.split("/")[1:]} == {255}
    assert len(kept) >= 1_024


def test_a_path_that_is_too_deep_keeps_its_end_and_says_so(seen: Seen) -> None:
    (row,) = seen.rows("deep")
    kept = row["cgroup_path"].removeprefix("…")
    assert kept == "".join(f"/level-{number}" for number in range(DEPTH - 16, DEPTH))
    assert row["cgroup_path"] == "…" + kept
    assert row["cgroup_id"] == seen.boxes["deep"].group.stat().st_ino


def test_connections_have_the_namespaces_and_the_cgroup_of_their_containers_row(seen: Seen) -> None:
    box = seen.boxes[KINDS[0]]
    context = seen.rows(KINDS[0])[0]
    ports = seen.facts["inside"]
    for table, wanted in (
        ("tcp_connect", ports),
        ("tcp_accept", {"sport": ports["dport"], "dport": ports["sport"]}),
        ("tcp_close", ports),
        ("tcp_close", {"sport": ports["dport"], "dport": ports["sport"]}),
    ):
        (row,) = seen.recording.rows(table, net_ns=box.namespaces["net"], **wanted)
        for column in ("pid_ns", "net_ns", "cgroup_id", "pid_ns_level"):
            assert row[column] == context[column], (table, column)


def test_a_process_of_the_host_in_a_containers_net_namespace_stays_one_of_the_host(seen: Seen) -> None:
    box = seen.boxes[KINDS[0]]
    (row,) = seen.recording.rows("tcp_connect", net_ns=box.namespaces["net"], **seen.facts["entered"])
    assert (row["pid"], row["pid_ns"], row["pid_ns_level"]) == (seen.facts["entered pid"], seen.facts["host pid_ns"], 0)
    assert row["cgroup_id"] != box.group.stat().st_ino
    assert not seen.recording.rows("container", pid=seen.facts["entered pid"])


def test_hundreds_at_once_are_all_there_and_none_is_lost(seen: Seen) -> None:
    many = {tuple(entry) for entry in seen.facts["many"]}
    assert len({pid_ns for _, pid_ns, _, _ in many}) == COUNT
    assert seen.recording.lost("container") == 0
    rows = seen.recording.rows("container", ppid=seen.facts["many's parent"])
    assert {(row["pid"], row["pid_ns"], row["uts_ns"], row["nodename"]) for row in rows if row["nodename"] != HOST} == many
    assert len(rows) == 2 * COUNT, "one with the host's name when it was made, one with its own when it ended"


@pytest.mark.parametrize("count", [MORE_THAN_A_RING, pytest.param(10_000, marks=pytest.mark.long)])
def test_more_than_the_ring_holds_that_were_there_before_are_all_there(tmp_path: Path, count: int) -> None:
    with subprocess.Popen(program("container_many", count), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        many = {tuple(entry) for entry in json.loads(process.stdout.readline())}
        with recorder(tmp_path / "r.bpftape", "--tracers", "container", "--ring-mib", 1) as running:
            recording = running.stop()
        process.communicate()
    (record_bytes,) = {row["bytes"] / row["events"] for row in recording.rows("coverage", table="container") if row["events"]}
    assert record_bytes * count > 1 << 20
    assert recording.lost("container") == 0
    rows = recording.rows("container", ppid=process.pid)
    assert {(row["pid"], row["pid_ns"], row["uts_ns"], row["nodename"]) for row in rows} == many
    assert len(rows) == count


@pytest.mark.long
def test_ten_thousand_that_come_and_go_are_there_or_counted_and_reports_have_them(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "r.bpftape"
    with recorder(path, "--tracers", "container") as running:
        box = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]
        many = {(uts_ns, nodename) for _, _, uts_ns, nodename in json.loads(run_program([*box, *program("container_many", 10_000, "uts")]).output)}
        recording = running.stop()
    names = {nodename for _, nodename in many}
    named = [row for row in recording.table("container") if row["nodename"] in names]
    assert len({row["pid_ns"] for row in named}) == 1
    total = sum(row["events"] + row["lost"] for row in recording.rows("coverage", table="container"))
    assert len(recording.table("container")) + recording.lost("container") == total >= 20_000, "one with the host's name, one with its own"
    # They end all at once: what the ring did not hold then is lost, and counted.
    assert {(row["uts_ns"], row["nodename"]) for row in named} <= many
    assert 10_000 - recording.lost("container") <= len(named) <= 10_000
    assert recording.about()["clean_end"]
    found = cli("analyze", "containers", "--format", "json", path)
    assert found.returncode == 0, found.stderr
    assert [row for row in json.loads(found.stdout)["rows"] if row["container"] in names]


def test_who_is_in_its_pid_namespace_before_its_cgroup_is_in_the_container(tmp_path: Path, cli: Cli) -> None:
    container_id = secrets.token_hex(32)
    moved = f'{true_path()}; echo 0 >"$1" && exec {true_path()}'
    with cgroup(KINDS[-1], "docker", container_id) as group, recorder(path := tmp_path / "r.bpftape") as running:
        assert run_program(["/usr/bin/unshare", *ALL_NAMESPACES, "--", "/bin/sh", "-c", moved, "sh", str(group / "cgroup.procs")]).status == 0
        recording = running.stop()
    (pid_ns,) = {row["pid_ns"] for row in recording.rows("container", container_id=container_id)}
    programs = [row for row in recording.rows("exec", pid_ns=pid_ns) if row["filename"] in ("/bin/sh", true_path())]
    assert len(programs) == 3, "a shell, a child of it, and what it became"
    assert len({row["cgroup_id"] for row in programs}) == 2
    reports = {name: json.loads(cli("analyze", name, path, "--format", "json").stdout)["rows"] for name in ("containers", "container_processes")}
    (line,) = [row for row in reports["containers"] if row["id"] == container_id[:12]]
    assert (line["container"], line["processes"]) == (container_id[:12], 2)
    pids = {row["pid"] for row in programs}
    assert {row["id"] for row in reports["container_processes"] if row["pid"] in pids} == {container_id[:12]}


def test_nothing_is_there_twice(seen: Seen) -> None:
    rows = [(row["pid_ns"], row["uts_ns"], row["cgroup_id"], row["nodename"]) for box in seen.boxes for row in seen.rows(box)]
    assert len(set(rows)) == len(rows)


def test_a_host_name_is_printed_without_its_control_characters(tmp_path: Path) -> None:
    with cgroup(KINDS[0], ODD_GROUP) as group, recorder(tmp_path / "r.bpftape", "--print", "--tracers", "container") as running:
        with Box(group, hostname=ODD_HOSTNAME) as box:
            running.output.wait_for(r" container .*red")
        recording = running.stop()
        assert box.rows(recording)[-1]["nodename"] == ODD_HOSTNAME.decode("utf-8", "replace")
    output = running.output.everything()
    assert {byte for byte in output if byte < 32 or byte == 127} == {ord("\n")}
    assert rb" \x1b[31mred" in output
    assert rb"/\x1b[2Jodd" in output


def test_nor_does_analyze_print_them(seen: Seen, cli: Cli) -> None:
    for words in (["--sql", "SELECT nodename, cgroup_path FROM container"], ["container_processes"]):
        done = cli("analyze", *words, seen.recording.path)
        assert done.returncode == 0, done.stderr
        assert r"\x1b[31mred" in done.stdout
        assert not {c for c in done.stdout + done.stderr if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160}
