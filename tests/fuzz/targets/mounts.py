"""The text of mountinfo."""

from __future__ import annotations

from recorder.mounts import mounts
from recorder.namespaces import _mounted
from tests.fuzz.target import Target, scratch

FOLDER = scratch()


def run(data: bytes) -> None:
    (FOLDER / "mountinfo").write_bytes(data)
    mounts("cgroup2", "cgroup", "tracefs", "nsfs", mountinfo=FOLDER / "mountinfo")
    list(_mounted(FOLDER))


TARGET = Target(
    run,
    lambda: [
        b"29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        b"31 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        b"400 29 0:4 net:[4026532295] /run/netns/a\\040b rw shared:2 - nsfs nsfs rw\n",
    ],
    words=(b" - ", b"nsfs ", b"net:[", b"]", b"cgroup2 ", b"/", b"\\040"),
)
