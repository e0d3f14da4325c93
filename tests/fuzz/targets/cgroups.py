"""Paths of cgroups, and what the recorder reads of processes in /proc: each line a path, all of it as the text of /proc/PID/cgroup, too."""

from __future__ import annotations

from recorder.containers import _level
from recorder.identity import identify, identify_by
from recorder.tracers import container
from recorder.tracers.clone import cgroup_path, cgroup_paths
from tests.fuzz.target import Target

ID = b"4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
POD = b"eab5a334-93fe-48a8-b139-9e8079c1f163"


def run(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    cgroup_paths(text)
    cgroup_path(text)
    _level(data)
    lines = text.split("\n")
    for line, other in zip(lines, [*lines[1:], "/"], strict=True):
        identify(line)
        identify_by(line, other)
        for depth in (0, 1, len(line)):
            container.is_delegated(line, depth)
    path = container.cgroup_path(data, len(data) % 2 == 0)
    identify(path)


TARGET = Target(
    run,
    lambda: [
        b"/system.slice/docker-%s.scope" % ID,
        b"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%s.slice/cri-containerd-%s.scope\n" % (POD.replace(b"-", b"_"), ID),
        b"12:memory:/kubepods/besteffort/pod%s/%s\n1:name=systemd:/\n0::/" % (POD, ID),
        b"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-%s.scope/container" % ID,
        b"/machine.slice/machine-debian\\x2d12.scope/payload\n/lxc.payload.web/init.scope\n/machine.slice/web.scope/payload",
        b"Name:\tsh\nNSpid:\t12\t1\n",
        b"%s\0docker\0" % ID,
    ],
    words=(
        ID,
        POD,
        b"docker-",
        b".scope",
        b".slice",
        b"libpod-",
        b"crio-",
        b"cri-containerd-",
        b"/lxc.payload.",
        b"\\x2d",
        b" (deleted)",
        b"\xe2\x80\xa6",
    ),
)
