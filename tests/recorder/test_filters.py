"""From what the user wrote to what the kernel compares."""

from __future__ import annotations

import os
import shlex
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from recorder import containers, filters
from recorder.containers import Running
from recorder.errors import Exit, RecorderError
from recorder.filters import ENTRIES, Filters, Wishes, parse


def wish(option: str, *values: str) -> Wishes:
    given: dict[str, Any] = {option: [int(pid) for pid in values] if option == "pid" else values}
    return Wishes(**given)


def only(option: str, *values: str) -> Filters:
    """Return the filters of one option alone."""
    return parse(wish(option, *values))


def refused(wishes: Wishes) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        parse(wishes)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint
    return caught.value


def refusal(option: str, value: str) -> RecorderError:
    error = refused(wish(option, value))
    assert error.message.startswith(f"--{option} {value or chr(39) * 2}: ")
    return error


def test_no_filter_means_no_flag_and_no_key() -> None:
    nothing = parse(Wishes())
    assert nothing == Filters()
    assert not nothing.by_task
    assert nothing.flags() == []
    assert [nothing.map_keys(source) for source in ("filters", "tcp", "clone", "container")] == [[], [], [], []]
    assert nothing.words == ()


def test_options_of_tasks_have_their_flags_their_keys_and_their_words() -> None:
    both = parse(Wishes(pid=[os.getpid()], comm=["nginx", "two words"], uid=["0", "65477"], follow_children=True))
    assert both.flags() == ["-DFILTER_pid", "-DFILTER_comm", "-DFILTER_uid", "-DFILTER_followed", f"-DFILTER_ENTRIES={ENTRIES}"]
    assert both.map_keys("filters") == [
        ("filter_pid", os.getpid()),
        ("filter_comm", b"nginx"),
        ("filter_comm", b"two words"),
        ("filter_uid", 0),
        ("filter_uid", 65_477),
    ]
    assert both.map_keys("tcp") == both.map_keys("clone") == []
    assert both.words == (f"pid={os.getpid()}", "comm=nginx", "comm=two words", "uid=0", "uid=65477", "follow-children")


def test_options_of_connections_have_their_flags_their_keys_and_their_words() -> None:
    both = parse(Wishes(port=["443", "8000-8002", "8001"], daddr=["10.0.0.0/8", "2001:db8::1"], family=6))
    assert both.flags() == ["-DFILTER_port", "-DFILTER_daddr=2", "-DFILTER_family=6"]
    assert not both.by_task, "bpf/filters.c has no map of theirs"
    assert both.map_keys("tcp") == [
        *(("filter_port", port) for port in (443, 8000, 8001, 8002)),
        ("filter_daddr", struct.pack("=IB", 8 + 96 + 8, 4) + bytes(10) + b"\xff\xff\x0a\0\0\0"),
        ("filter_daddr", struct.pack("=IB", 8 + 128, 6) + bytes.fromhex("20010db8000000000000000000000001")),
    ]
    assert both.map_keys("filters") == []
    assert both.words == ("port=443", "port=8000-8002", "port=8001", "daddr=10.0.0.0/8", "daddr=2001:db8::1", "family=6")


@pytest.mark.parametrize(
    ("text", "ports"), [("1", (1,)), ("65535", (65_535,)), ("1-3", (1, 2, 3)), ("7-7", (7,)), ("1-65535", tuple(range(1, 65_536)))]
)
def test_ports_are_one_or_a_range(text: str, ports: tuple[int, ...]) -> None:
    assert only("port", text).port == ports


@pytest.mark.parametrize(
    "text",
    [
        *("0", "65536", "-1", "1-", "-", "", "3-2", "0-5", "1-65536"),
        *("http", "1,2", "1-2-3", "+5", "1.5", "99999999999999999999", " 443", "\uff14\uff14\uff13", "\u0661-\u0662", "\u001b[31m"),
    ],
)
def test_what_is_no_port_is_refused(text: str) -> None:
    error = refused(Wishes(port=[text]))
    assert error.message.startswith(f"--port {shlex.quote(text)}: ")
    assert "from 1 to 65535" in error.message
    assert "--port 443" in error.hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("2001:db8::1/32", "did you mean 2001:db8::/32?"),
        ("10.0.0", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("10.0.0.0/33", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("example.org", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("1::2::3", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("10", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("10.0.0.0/-1", "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"),
        ("fe80::1%lo", "try: --daddr fe80::1"),
        ("::ffff:10.0.0.1/104", "did you mean ::ffff:a00:0/104?"),
    ],
)
def test_what_is_no_network_is_refused_with_what_was_meant(text: str, hint: str) -> None:
    assert refusal("daddr", text).hint == hint


@pytest.mark.parametrize(("family", "daddr"), [(4, ["::1"]), (6, ["10.0.0.0/8", "::ffff:10.0.0.0/104"])])
def test_a_family_and_peers_that_are_of_none_of_it_are_refused(family: int, daddr: list[str]) -> None:
    error = refused(Wishes(family=family, daddr=daddr))
    assert error.message == f"--family {family} and --daddr {daddr[0]}: nothing is both"
    assert error.hint.endswith(f"--family {10 - family}")
    assert parse(Wishes(family=family, daddr=[*daddr, "::2" if family == 6 else "127.0.0.1"])).family == family


@pytest.mark.parametrize("family", [0, 5, -4, 46])
def test_there_are_two_families(family: int) -> None:
    error = refused(Wishes(family=family))
    assert error.message == f"--family {family}: there are 4 and 6"
    assert error.hint == "try: --family 4"


ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
BARE = 4_026_532_500


def container(pid_ns: int, *paths: str, container_id: str | None = ID, name: str | None = None, hostname: str | None = None) -> Running:
    return Running(container_id, None, None, name, None, hostname, pid_ns, 1, paths)


def test_a_container_is_its_cgroup_with_all_below_or_else_its_pid_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "docker" / ID
    (folder / "init.scope").mkdir(parents=True)
    paths = (f"/docker/{ID}", f"/docker/{ID}/init.scope")
    monkeypatch.setattr(filters, "_mounts", lambda *_: [tmp_path])
    known = [container(BARE, *paths, name="web"), container(BARE + 1, "/", container_id=None, hostname="bare")]
    monkeypatch.setattr(containers, "running", lambda: known)
    assert only("container", "web").container == (folder.stat().st_ino,), "one group, with those below it"
    assert only("container", ID[:6]).container == (folder.stat().st_ino,)
    both = parse(Wishes(container=["bare", "web"], containers_only=True))
    assert set(both.container) == {folder.stat().st_ino, 1 << 63 | BARE + 1}
    assert both.by_task
    assert set(both.map_keys("filters")) == {("filter_container", key) for key in both.container}
    assert both.flags() == ["-DFILTER_container", "-DFILTER_containers", f"-DFILTER_ENTRIES={ENTRIES}"]
    assert both.words == ("container=bare", "container=web", "containers-only")
    assert parse(Wishes(containers_only=True)).flags() == ["-DFILTER_containers"]


def test_a_container_in_a_group_of_v1_is_told_from_the_group_of_v2_with_that_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {kind: tmp_path / kind for kind in ("cgroup2", "cgroup")}
    for place in places.values():
        (place / "docker" / ID / "init.scope").mkdir(parents=True)
    monkeypatch.setattr(filters, "_mounts", lambda *kinds: [places[kind] for kind in kinds])
    path = f"/docker/{ID}"
    v2, v1 = ((place / "docker" / ID).stat().st_ino for place in places.values())
    in_v1 = Running(ID, None, None, "web", None, None, BARE, 1, (), (path, f"{path}/init.scope"))
    monkeypatch.setattr(containers, "running", lambda: [in_v1])
    assert only("container", "web").container == (1 << 62 | v1,)
    monkeypatch.setattr(containers, "running", lambda: [in_v1, container(BARE, path, name="web")])
    assert set(only("container", "web").container) == {1 << 62 | v1, v2}


def test_a_container_that_ended_while_it_was_looked_up_is_said_to_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker" / "stays").mkdir(parents=True)
    monkeypatch.setattr(filters, "_mounts", lambda *_: [tmp_path])
    gone, stays = container(BARE, f"/docker/{ID}", name="web"), container(BARE + 1, "/docker/stays", container_id="stays", name="db")
    monkeypatch.setattr(containers, "running", lambda: [gone, stays])
    assert refusal("container", "web").message.endswith("it has ended meanwhile")
    assert only("container", "web", "db").container == ((tmp_path / "docker" / "stays").stat().st_ino,)


def test_a_container_that_does_not_run_is_refused_with_a_near_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "running", lambda: [container(BARE, f"/docker/{ID}", name="webserver")])
    assert "webserver" in refusal("container", "webservr").hint
    monkeypatch.setattr(containers, "running", list)
    assert "no container is running" in refusal("container", "web").message


@pytest.mark.parametrize(
    "wishes", [Wishes(pid=[1]), Wishes(follow_children=True), Wishes(container=["web"])], ids=["--pid", "--follow-children", "--container"]
)
def test_what_is_looked_up_in_proc_is_refused_inside_of_a_pid_namespace(wishes: Wishes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "in_initial_pid_namespace", lambda: False)
    error = refused(wishes)
    assert "this pid namespace" in error.message
    assert "--comm" in error.hint
    assert parse(Wishes(comm=["nginx"], containers_only=True)).containers


def test_users_are_found_by_name() -> None:
    assert only("uid", "root").uid == (0,)
    assert only("uid", "4294967294").uid == (4_294_967_294,)


@pytest.mark.parametrize("value", ["no-such-user", "4294967295", "-1", "", "root\0"], ids=repr)
def test_what_is_no_user_isrefused(value: str) -> None:
    with pytest.raises(RecorderError) as caught:
        only("uid", value)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint


@pytest.mark.parametrize("value", ["0", "-1", "4194305", "99999999999999999999"])
def test_what_is_no_process_isrefused(value: str) -> None:
    assert "no such process" in refusal("pid", value).message


def test_a_process_that_has_ended_isrefused() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert "no such process" in refusal("pid", str(process.pid)).message


def test_a_thread_is_refused_and_its_process_named() -> None:
    done, ready = threading.Event(), threading.Event()
    tids: list[int] = []

    def wait() -> None:
        tids.append(threading.get_native_id())
        ready.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        assert ready.wait(10)
        error = refusal("pid", str(tids[0]))
    finally:
        done.set()
        thread.join()
    assert f"a thread of process {os.getpid()}" in error.message
    assert error.hint.endswith(f"--pid {os.getpid()}")


def test_a_name_has_1_to_15_bytes() -> None:
    assert only("comm", "a", "fifteen-letters").comm == (b"a", b"fifteen-letters")
    assert only("comm", os.fsdecode(b"\xff")).comm == (b"\xff",)
    assert "at least one byte" in refusal("comm", "").message
    assert refusal("comm", "sixteen-letters-").hint == "try: --comm 'sixteen-letters'"
    assert refusal("comm", "eleven bytes\u20ac\u20ac").hint == "try: --comm 'eleven bytes\u20ac'"


def cgroup_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have two folders stand for the places where cgroups are mounted; return one with a group in it."""
    group = tmp_path / "memory" / "system.slice" / "nginx.service"
    group.mkdir(parents=True)
    (tmp_path / "unified").mkdir()
    (tmp_path / "outside").mkdir()
    monkeypatch.setattr(filters, "_mounts", lambda *_: [tmp_path / "unified", tmp_path / "memory"])
    return group


def test_a_cgroup_is_its_folder_or_its_path_below_a_mount_or_its_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = cgroup_folder(tmp_path, monkeypatch)
    inode = group.stat().st_ino
    for name in (str(group), "/system.slice/nginx.service", "system.slice/nginx.service", str(inode)):
        assert only("cgroup", name).cgroup == (inode,), name
    assert only("cgroup", str(tmp_path / "memory")).cgroup == ((tmp_path / "memory").stat().st_ino,)


def test_a_folder_that_is_no_cgroup_isrefused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup_folder(tmp_path, monkeypatch)
    for name in (str(tmp_path / "outside"), "/system.slice/no.service", "/etc"):
        assert f"no such folder under {tmp_path / 'unified'} or {tmp_path / 'memory'}" in refusal("cgroup", name).message


def test_a_host_without_cgroups_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_mounts", lambda *_: [])
    assert "none is mounted" in refusal("cgroup", "/system.slice").message
