"""Which network namespaces there are, by what /proc says."""

from __future__ import annotations

from pathlib import Path

from recorder.namespaces import network_namespaces


def fake_process(proc: Path, pid: int, net: int, mnt: int, mounted: str = "") -> Path:
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "ns" / "net").symlink_to(f"net:[{net}]")
    (folder / "ns" / "mnt").symlink_to(f"mnt:[{mnt}]")
    (folder / "mountinfo").write_text(mounted)
    return folder


def test_namespaces_are_those_of_processes_and_those_that_are_mounted_where_a_process_looks(tmp_path: Path) -> None:
    ours = "40 1 0:4 net:[103] /run/netns/odd\x0cname rw - nsfs nsfs rw\n41 1 0:4 uts:[900] /run/uts rw - nsfs nsfs rw\n"
    first = fake_process(tmp_path, 1, 101, 201, ours)
    second = fake_process(tmp_path, 2, 102, 201, ours)
    third = fake_process(tmp_path, 3, 102, 202, "50 1 0:4 net:[104] /run/user/1000/netns/box rw - nsfs nsfs rw\n")
    (fake_process(tmp_path, 4, 105, 203) / "ns" / "net").unlink()  # it has ended meanwhile
    (tmp_path / "sys").mkdir()
    found = network_namespaces(tmp_path)
    (of_both,) = found.pop(103)
    assert of_both in {folder / "root" / "run/netns/odd\x0cname" for folder in (first, second)}, "one of those that see it"
    assert {inode: set(paths) for inode, paths in found.items()} == {
        101: {first / "ns/net"},
        102: {second / "ns/net", third / "ns/net"},
        104: {third / "root" / "run/user/1000/netns/box"},
    }
