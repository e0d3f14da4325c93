"""Mounts are read from text in which other users' folder names stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder import mounts as mounts_module
from recorder.mounts import Mount, mounts

TEXT = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate
31 22 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 22 0:28 / /home/me/odd\r\x0c\x1c\u2028\u2003name - rw - fuse.sshfs host:/ rw,user_id=1000
34 22 0:4 net:[4026532401] /run/netns/one rw - nsfs nsfs rw
33 22 0:29 / /mnt/a\\040b rw - tmpfs none rw
"""


def test_mounts_of_the_kinds_asked_for_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_bytes(TEXT.encode())
    monkeypatch.setattr(mounts_module, "MOUNTINFO", tmp_path / "mountinfo")
    assert mounts("cgroup", "cgroup2") == [
        Mount("cgroup2", Path("/sys/fs/cgroup/unified"), ("rw", "nsdelegate")),
        Mount("cgroup", Path("/sys/fs/cgroup/memory"), ("rw", "memory")),
    ]
    assert mounts("nsfs") == [Mount("nsfs", Path("/run/netns/one"), ("rw",), "net:[4026532401]")]
    assert mounts("no such kind") == []
