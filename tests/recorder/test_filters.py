"""From what the user wrote to what the kernel compares."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recorder import filters
from recorder.errors import Exit, RecorderError
from recorder.filters import ENTRIES, Filters, parse


def only(option: str, *values: str) -> Filters:
    """Return the filters of one option alone."""
    given: dict[str, list[str]] = {"pid": [], "comm": [], "uid": [], "cgroup": []}
    given[option] = list(values)
    return parse([int(pid) for pid in given["pid"]], given["comm"], given["uid"], given["cgroup"], False)


def refusal(option: str, value: str) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        only(option, value)
    assert caught.value.code == Exit.USAGE
    assert caught.value.message.startswith(f"--{option} {value or chr(39) * 2}: ")
    assert caught.value.hint
    return caught.value


def test_no_filter_means_no_flag_and_no_key() -> None:
    nothing = parse([], [], [], [], False)
    assert nothing == Filters()
    assert nothing.flags() == []
    assert nothing.map_keys() == []
    assert nothing.words == ()


def test_each_option_has_its_flag_its_keys_and_its_words() -> None:
    both = parse([os.getpid()], ["nginx", "two words"], ["0", "65477"], [], True)
    assert both.flags() == ["-DFILTER_pid", "-DFILTER_comm", "-DFILTER_uid", "-DFILTER_followed", f"-DFILTER_ENTRIES={ENTRIES}"]
    assert both.map_keys() == [
        ("filter_pid", os.getpid()),
        ("filter_comm", b"nginx"),
        ("filter_comm", b"two words"),
        ("filter_uid", 0),
        ("filter_uid", 65_477),
    ]
    assert both.words == (f"pid={os.getpid()}", "comm=nginx", "comm=two words", "uid=0", "uid=65477", "follow-children")


def test_users_are_found_by_name() -> None:
    assert only("uid", "root").uid == (0,)
    assert only("uid", "4294967294").uid == (4_294_967_294,)


@pytest.mark.parametrize("value", ["no-such-user", "4294967295", "-1", "", "root\0"], ids=repr)
def test_what_is_no_user_is_refused(value: str) -> None:
    with pytest.raises(RecorderError) as caught:
        only("uid", value)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint


@pytest.mark.parametrize("value", ["0", "-1", "4194305", "99999999999999999999"])
def test_what_is_no_process_is_refused(value: str) -> None:
    assert "no such process" in refusal("pid", value).message


def test_a_process_that_has_ended_is_refused() -> None:
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
    monkeypatch.setattr(filters, "_mounts", lambda: [tmp_path / "unified", tmp_path / "memory"])
    return group


def test_a_cgroup_is_its_folder_or_its_path_below_a_mount_or_its_inode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = cgroup_folder(tmp_path, monkeypatch)
    inode = group.stat().st_ino
    for name in (str(group), "/system.slice/nginx.service", "system.slice/nginx.service", str(inode)):
        assert only("cgroup", name).cgroup == (inode,), name
    assert only("cgroup", str(tmp_path / "memory")).cgroup == ((tmp_path / "memory").stat().st_ino,)


def test_a_folder_that_is_no_cgroup_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup_folder(tmp_path, monkeypatch)
    for name in (str(tmp_path / "outside"), "/system.slice/no.service", "/etc"):
        assert f"no such folder under {tmp_path / 'unified'} or {tmp_path / 'memory'}" in refusal("cgroup", name).message


def test_a_host_without_cgroups_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_mounts", list)
    assert "none is mounted" in refusal("cgroup", "/system.slice").message
