"""Which container a cgroup's path is of, which containers run, and which one a user means."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.containers import Running, find, running
from recorder.errors import Exit, RecorderError
from recorder.identity import Identity, identify
from recorder.runtimes import Runtimes
from recorder.tracers.clone import cgroup_path

A = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
B = "99f3a16ea25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c13f4"
UID = "eab5a334-93fe-48a8-b139-9e8079c1f163"
UNDERSCORED = UID.replace("-", "_")
STATIC = "c704ef4c297ab11032b83ce52cbfc87b"
STEP = "qqrkxfu4vwpxbd7xl9vuxx6q5"

NOBODY = Identity()


def named(runtime: str, name: str, pod_uid: str | None = None, user: int | None = None) -> Identity:
    return Identity(name, runtime, pod_uid, name, user)


# The forms are those of the sources that recorder/identity.py names, and of bug reports and other tools' tests.
PATHS: dict[str, Identity] = {
    # docker
    f"/docker/{A}": Identity(A, "docker"),
    f"docker/{A}": Identity(A, "docker"),
    f"/system.slice/docker-{A}.scope": Identity(A, "docker"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope": Identity(A, "docker", user=1000),
    f"/ci.slice/ci-jobs.slice/docker-{A}.scope": Identity(A, "docker"),
    f"/actions_job/{A}": Identity(A),
    f"/ecs/0d1a1b2c3d4e5f60718293a4b5c6d7e8/{A}": Identity(A),
    f"/ecstasks.slice/ecstasks-0d1a1b2c3d4e5f60718293a4b5c6d7e8.slice/docker-{A}.scope": Identity(A, "docker"),
    f"/{A}": Identity(A),
    f"/docker/{A}/init.scope": Identity(A, "docker"),
    f"/system.slice/docker-{A}.scope/system.slice/nginx.service": Identity(A, "docker"),
    f"/docker/{A}/docker/{B}": Identity(B, "docker"),
    f"/system.slice/docker-{A}.scope (deleted)": Identity(A, "docker"),
    f"/docker/buildkit/{STEP}": Identity(STEP, "docker"),
    f"/system.slice/docker-{STEP}.scope": Identity(STEP, "docker"),
    "/system.slice/docker.service": NOBODY,
    "/system.slice/docker.socket": NOBODY,
    "/docker": NOBODY,
    f"/docker/{A[:63]}": NOBODY,
    f"/docker/{A}0": NOBODY,
    # Kubernetes, containerd and what is in it
    f"/kubepods/besteffort/pod{UID}/{A}": Identity(A, None, UID),
    f"/kubepods/burstable/pod{UID}/{A}": Identity(A, None, UID),
    f"/kubepods/pod{UID}/{A}": Identity(A, None, UID),
    f"/kubepods/burstable/pod{STATIC}/{A}": Identity(A, None, STATIC),
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{A}.scope": Identity(A, "containerd", UID),
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{A}.scope": Identity(A, "containerd", UID),
    f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{A}.scope": Identity(A, "containerd", UID),
    f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{STATIC}.slice/cri-containerd-{A}.scope": Identity(A, "containerd", STATIC),
    f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/docker-{A}.scope": Identity(A, "docker", UID),
    f"/system.slice/containerd.service/kubepods-burstable-pod{UNDERSCORED}.slice:cri-containerd:{A}": Identity(A, "containerd", UID),
    f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice": Identity(pod_uid=UID),
    f"/kubepods/burstable/pod{UID}": Identity(pod_uid=UID),
    f"/k8s.io/{A}": Identity(A, "containerd"),
    f"/default/{A}": Identity(A, "containerd"),
    f"/system.slice/nerdctl-{A}.scope": Identity(A, "containerd"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-{A}.scope": Identity(A, "containerd", user=1000),
    "/system.slice/containerd.service": NOBODY,
    "/system.slice/kubelet.service": NOBODY,
    "/kubepods.slice/kubepods-besteffort.slice": NOBODY,
    # kind, minikube, k3d: nodes that are containers
    f"/docker/{A}/kubelet/kubepods/burstable/pod{UID}/{B}": Identity(B, None, UID),
    f"/docker/{A}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UNDERSCORED}.slice/cri-containerd-{B}.scope": Identity(
        B, "containerd", UID
    ),
    f"/system.slice/docker-{A}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice"
    f"/kubelet-kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{B}.scope": Identity(B, "containerd", UID),
    f"/docker/{A}/system.slice/kubelet.service": Identity(A, "docker"),
    f"/docker/{A}/kubelet/kubepods/burstable/pod{UID}": Identity(A, "docker"),
    f"/kubepods/burstable/pod{UID}/{A}/docker/{B}": Identity(B, "docker", UID),
    f"…/kubelet-kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{B}.scope": Identity(B, "containerd", UID),
    f"…/{A}": Identity(A),
    f"…docker-{A}.scope/init.scope": Identity(A, "docker"),
    # CRI-O
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice/crio-{A}.scope": Identity(A, "cri-o", UID),
    f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{A}.scope/container": Identity(A, "cri-o", UID),
    f"/kubepods/burstable/pod{UID}/crio-{A}": Identity(A, "cri-o", UID),
    f"/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-conmon-{A}.scope": Identity(pod_uid=UID),
    f"/kubepods/burstable/pod{UID}/crio-conmon-{A}": Identity(pod_uid=UID),
    "/system.slice/crio.service": NOBODY,
    # crun and runc by themselves
    f"/system.slice/crun-{A}.scope": Identity(A),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/runc-{A}.scope": Identity(A, user=1000),
    "/system.slice/crun-web.scope": NOBODY,
    # podman
    f"/machine.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"/machine.slice/libpod-{A}.scope/container": Identity(A, "podman"),
    f"/machine.slice/libpod-{A}.scope/container/system.slice/nginx.service": Identity(A, "podman"),
    f"/machine.slice/libpod-{A}.scope/payload": Identity(A, "podman"),
    f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope/container": Identity(A, "podman"),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container": Identity(A, "podman", user=1000),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{B}.slice/libpod-{A}.scope": Identity(A, "podman", user=1000),
    f"/libpod_parent/libpod-{A}": Identity(A, "podman"),
    f"/libpod_parent/libpod-{A}/container": Identity(A, "podman"),
    f"/libpod_parent/{B}/libpod-{A}": Identity(A, "podman"),
    f"/libpod_parent/{B}/conmon": NOBODY,
    "/libpod_parent/conmon": NOBODY,
    f"/system.slice/web.service/libpod-payload-{A}": Identity(A, "podman"),
    f"/machine.slice/libpod-conmon-{A}.scope": NOBODY,
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-{A}.scope": NOBODY,
    f"/docker/{B}/libpod_parent/libpod-conmon-{A}.scope": Identity(B, "docker"),
    "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-6696.scope": NOBODY,
    # LXC, LXD and Incus, Proxmox
    "/lxc/web": named("lxc", "web"),
    "/lxc/100/ns/init.scope": named("lxc", "100"),
    "/lxc.payload.web": named("lxc", "web"),
    "/lxc.payload.web/init.scope": named("lxc", "web"),
    "/lxc.payload.web/.lxc": named("lxc", "web"),
    "/lxc.payload.snapcraft_some-container/system.slice/ssh.service": named("lxc", "snapcraft_some-container"),
    "/lxc.payload/web": named("lxc", "web"),
    "/user.slice/user-1000.slice/session-3.scope/lxc.payload.web": named("lxc", "web", user=1000),
    "/user/1000.user/c2.session/lxc/web": named("lxc", "web"),
    "/lxc.payload.outer/lxc.payload.inner/init.scope": named("lxc", "inner"),
    "/lxc.payload.outer/lxc.monitor.inner": named("lxc", "outer"),
    f"/lxc/100/ns/docker/{A}": Identity(A, "docker"),
    "/lxc.monitor.web": NOBODY,
    "/lxc.monitor/100": NOBODY,
    "/lxc/web/monitor": NOBODY,
    "/lxc/web/payload": named("lxc", "web"),
    "/lxc.pivot": NOBODY,
    "/lxc": NOBODY,
    "/system.slice/lxc.service": NOBODY,
    # systemd-nspawn
    "/machine.slice/systemd-nspawn@web.service": named("systemd-nspawn", "web"),
    "/machine.slice/systemd-nspawn@web.service/payload": named("systemd-nspawn", "web"),
    "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service": named("systemd-nspawn", "web"),
    "/machine.slice/systemd-nspawn@web.service/supervisor": NOBODY,
    r"/machine.slice/systemd-nspawn@web\x2d1.service/payload": named("systemd-nspawn", "web-1"),
    "/machine.slice/machine-web.scope": named("systemd-nspawn", "web"),
    r"/machine.slice/machine-web\x2d1.scope/payload": named("systemd-nspawn", "web-1"),
    r"/machine.slice/machine-dev.slice/machine-web\x2d1.scope/payload": named("systemd-nspawn", "web-1"),
    r"/machine.slice/machine-..\x2f..\x2fetc.scope": named("systemd-nspawn", r"..\x2f..\x2fetc"),
    "/machine.slice/web.scope/payload": named("systemd-nspawn", "web"),
    f"/machine.slice/machine-web.scope/payload/system.slice/docker-{A}.scope": Identity(A, "docker"),
    r"/machine.slice/machine-qemu\x2d1\x2dvps3458844.scope": NOBODY,
    r"/machine.slice/machine-qemu\x2d3\x2dubuntu20.04.scope/libvirt": NOBODY,
    "/system.slice/machine-web.scope": NOBODY,
    # whose slice
    f"/user.slice/user-0.slice/user@0.service/user.slice/libpod-{A}.scope": Identity(A, "podman", user=0),
    f"/user.slice/user-4294967294.slice/session-2.scope/{A}": Identity(A, user=4294967294),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope (deleted)": Identity(A, "docker", user=1000),
    f"/user.slice/user-1000.slice/user@1000.service/a.slice/docker-{A}.scope/user.slice/user-1001.slice/libpod-{B}.scope": Identity(
        B, "podman", user=1000
    ),
    # Only what root made tells it: groups of such names below a user's own, or in a container, do not.
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/user-1001.slice/libpod-{A}.scope": Identity(A, "podman", user=1000),
    f"/system.slice/docker-{A}.scope/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{B}.scope": Identity(B, "podman"),
    f"/machine.slice/user.slice/user-1000.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"…/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"/../user.slice/user-1000.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"/user-1000.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"/user.slice/user-.slice/libpod-{A}.scope": Identity(A, "podman"),
    f"/user.slice/user-1000.slice.d/libpod-{A}.scope": Identity(A, "podman"),
    f"/user.slice/user-{'9' * 5_000}.slice/libpod-{A}.scope": Identity(A, "podman"),
    # none at all
    "": NOBODY,
    "/": NOBODY,
    "…": NOBODY,
    "/init.scope": NOBODY,
    "/user.slice/user-1000.slice/session-2.scope": NOBODY,
    "/system.slice/system-getty.slice/getty@tty1.service": NOBODY,
    "/process_api/cb277c419946e91162937f1f2779cbc8": NOBODY,
}


@pytest.mark.parametrize(("path", "identity"), PATHS.items(), ids=[str(number) for number in range(len(PATHS))])
def test_a_path_tells_whose_it_is(path: str, identity: Identity) -> None:
    assert identify(path) == identity


WORDS = st.one_of(
    st.sampled_from(sorted({part for path in PATHS for part in path.split("/")} | {"docker", "lxc", "machine.slice", "payload", "supervisor"})),
    st.text(max_size=12),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)


@given(st.one_of(st.text(), st.lists(WORDS, max_size=8).map("/".join)))
def test_whatever_the_path_the_id_is_part_of_a_component(path: str) -> None:
    identity = identify(path)
    parts = path.split("/") + path.replace(r"\x2d", "-").split("/")
    if identity.user is not None:
        assert path.startswith(f"/user.slice/user-{identity.user}.slice/")
    if identity.container_id is not None:
        assert identity.container_id
        assert any(identity.container_id in part for part in parts)
    else:
        assert identity.runtime is None
        assert identity.user is None
    assert identity.name in (None, identity.container_id)
    assert identity.pod_uid is None or re.fullmatch(r"[0-9a-f-]{32,36}", identity.pod_uid)


def fake_process(proc: Path, pid: int, pid_ns: int, path: str, depth: int = 0, memory: str = "") -> None:
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "ns" / "pid").symlink_to(f"pid:[{pid_ns}]")
    (folder / "ns" / "uts").symlink_to("/proc/self/ns/uts")
    (folder / "cgroup").write_text("".join([f"4:memory:{memory}\n" if memory else "", "1:name=systemd:/\n", f"0::{path}\n"]))
    (folder / "status").write_text("Name:\tx\nNSpid:\t" + "\t".join(str(pid) for _ in range(depth + 1)) + "\nVmPeak:\t1 kB\n")


def test_processes_are_gathered_by_pid_namespace_and_container(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "root"
    fake_process(proc, 1, 100, "/init.scope")
    fake_process(proc, 20, 100, f"/system.slice/docker-{A}.scope")  # docker run --pid=host
    fake_process(proc, 30, 300, f"/system.slice/docker-{B}.scope/a.service", depth=1)
    fake_process(proc, 31, 300, f"/system.slice/docker-{B}.scope/init.scope", depth=1)
    fake_process(proc, 32, 301, f"/system.slice/docker-{B}.scope", depth=2)
    fake_process(proc, 40, 400, "/user.slice", depth=1)
    fake_process(proc, 50, 300, f"/kubepods/pod{UID}", depth=1)
    (proc / "50" / "status").unlink()  # it has ended meanwhile
    (proc / "60").mkdir()
    (proc / "sys").mkdir()
    config = root / "var/lib/docker/containers" / B / "config.v2.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"Name": "/web", "Config": {"Image": "nginx:1.29"}}')
    here = os.uname().nodename
    assert running(proc, Runtimes(root)) == [
        Running(A, "docker", None, None, None, here, 100, 0, (f"/system.slice/docker-{A}.scope",)),
        Running(
            B,
            "docker",
            None,
            "web",
            "nginx:1.29",
            here,
            300,
            1,
            (f"/system.slice/docker-{B}.scope/a.service", f"/system.slice/docker-{B}.scope/init.scope"),
        ),
        Running(B, "docker", None, "web", "nginx:1.29", here, 301, 2, (f"/system.slice/docker-{B}.scope",)),
        Running(None, None, None, None, None, here, 400, 1, ("/user.slice",)),
    ]


def test_on_a_host_with_both_hierarchies_v2_tells_first_and_v1_where_it_does_not(tmp_path: Path) -> None:
    engine = "/system.slice/containerd.service"
    for pid, (path, memory) in enumerate(
        [("/", f"/docker/{A}"), (engine, f"/docker/{A}"), (f"/docker/{B}", f"/docker/{A}"), (engine, "/user.slice"), ("/", "/lxc.payload.web")], 1
    ):
        fake_process(tmp_path, pid, pid, path, depth=1, memory=memory)
    fake_process(tmp_path, 7, 100, engine, memory="/system.slice/docker.service")
    assert [(one.container_id, one.cgroup_paths, one.memory_cgroup_paths) for one in running(tmp_path, Runtimes(tmp_path))] == [
        (A, (), (f"/docker/{A}",)),
        (A, (), (f"/docker/{A}",)),
        (B, (f"/docker/{B}",), ()),
        (None, (engine,), ()),
        ("web", (), ("/lxc.payload.web",)),
    ]


def test_a_bare_id_gets_its_runtime_from_the_file_and_a_name_of_lxc_is_its_id(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "root"
    fake_process(proc, 20, 200, f"/kubepods/burstable/pod{UID}/{A}", depth=1)
    fake_process(proc, 30, 300, "/lxc.payload.web", depth=1)
    (proc / "30" / "ns" / "uts").unlink()
    bundle = root / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / A
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    pod, lxc = running(proc, Runtimes(root))
    assert (pod.runtime, pod.pod_uid, pod.name) == ("containerd", UID, None)
    assert (lxc.runtime, lxc.name, lxc.container_id, lxc.hostname) == ("lxc", "web", "web", None)


def test_a_group_with_the_id_of_anothers_container_does_not_name_it(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "root"
    me = os.getuid()
    file = root / f"home/eve/.local/share/docker/containers/{A}/config.v2.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"Name": "/web", "Config": {"Image": "eves"}}')
    other, own = (f"/user.slice/user-{user}.slice/user@{user}.service/user.slice/docker-{A}.scope" for user in (me + 1, me))
    fake_process(proc, 20, 100, f"/system.slice/docker-{A}.scope")
    fake_process(proc, 30, 100, own)
    fake_process(proc, 40, 100, other)
    found = {container.cgroup_paths: (container.name, container.image) for container in running(proc, Runtimes(root))}
    assert found == {(f"/system.slice/docker-{A}.scope",): (None, None), (own,): ("web", "eves"), (other,): (None, None)}


@pytest.fixture
def unshared() -> Iterator[tuple[int, str]]:
    """Start a process in new pid and uts namespaces; give its pid here and the host name that it set."""
    name = "bpftape-\x1b[31m-\udcff"
    script = 'echo -n "$1" > /proc/sys/kernel/hostname; echo $$; read line'
    words = ["unshare", "--pid", "--fork", "--uts", "--mount-proc", "sh", "-c", script, "sh", name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"1\n"
            yield int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()), name
        finally:
            process.stdin.close()


@pytest.mark.kernel
def test_a_real_pid_namespace_is_found_with_the_host_name_in_it(unshared: tuple[int, str]) -> None:
    pid, name = unshared
    before = os.uname().nodename
    pid_ns = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    (found,) = [container for container in running() if container.pid_ns == pid_ns]
    assert found.level == 1
    assert found.container_id is None
    assert found.hostname == name.replace("\udcff", "\ufffd")
    assert (*found.cgroup_paths, *found.memory_cgroup_paths) == (cgroup_path(Path(f"/proc/{pid}/cgroup").read_text()),)
    assert find(found.hostname, running()) == [found]
    with pytest.raises(RecorderError) as caught:
        find(found.hostname + "x", [found])
    assert r"bpftape-\x1b[31m-" in caught.value.hint
    assert "\x1b" not in caught.value.message + caught.value.hint
    # The thread that asked had a uts namespace of its own for the time; this process keeps its own.
    assert os.uname().nodename == before


def container(container_id: str | None = None, name: str | None = None, hostname: str | None = None, pod_uid: str | None = None) -> Running:
    return Running(container_id, None, pod_uid, name, None, hostname, 1, 1, ())


WEB = container(A, "web", "web.example")
OTHER = container(A[:10] + B[10:], "other", "web")
POD = container(B, "default/web-0/nginx", "web-0", UID)
PAUSE = container("0" * 64, "default/web-0", "web-0", UID)
LXC = container("abcdef-lxc", "abcdef-lxc", "lxc")
UNNAMED = container(None, None, "sandbox")
ALL = [WEB, OTHER, POD, PAUSE, LXC, UNNAMED]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("web", [WEB]),  # a name, though it is the host name of another
        ("other", [OTHER]),
        (A, [WEB]),
        (A[:12], [WEB]),
        (B[:6], [POD]),
        ("web.example", [WEB]),
        ("abcdef-lxc", [LXC]),
        ("lxc", [LXC]),
        ("sandbox", [UNNAMED]),
        ("default/web-0/nginx", [POD]),
        ("web-0/nginx", [POD]),
        ("nginx", [POD]),
        ("default/web-0", [PAUSE]),  # whole names first
        ("web-0", [POD, PAUSE]),
        (UID, [POD, PAUSE]),
    ],
)
def test_what_users_type_finds_it(wanted: str, found: list[Running]) -> None:
    assert find(wanted, ALL) == found


def test_a_container_in_two_pid_namespaces_is_one() -> None:
    twice = [WEB, container(A, "web")]
    assert find(A[:8], twice) == twice


def test_the_hosts_own_name_means_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "sandbox", "6", "#1", "x86_64")))
    with pytest.raises(RecorderError):
        find("sandbox", ALL)


def refusal(wanted: str, those: list[Running]) -> RecorderError:
    with pytest.raises(RecorderError) as caught:
        find(wanted, those)
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint
    assert (caught.value.message + caught.value.hint).isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("weeb", "--container weeb: no such container is running", "did you mean: web"),
        (B[:5], f"--container {B[:5]}: no such container is running", f"did you mean: {B[:12]}"),  # too short for an id
        ("default", "--container default: no such container is running", "did you mean: default/web-0, default/web-0/nginx"),  # a namespace
        ("abcdef", "--container abcdef: no such container is running", "did you mean: abcdef-lxc"),
        ("zzz", "--container zzz: no such container is running", "running now: abcdef-lxc, default/web-0, default/web-0/nginx, other, sandbox, web"),
        ("", "--container '': a name has at least one character", "running now: abcdef-lxc"),
        ("\x1b[2J\n\u202e", r"--container '\x1b[2J\n\u202e': no such container is running", "running now: "),
        ("..", "--container ..: no such container is running", "running now: "),
        (
            A[:8],
            f"--container {A[:8]}: the ids of several containers begin so",
            f"give more of one: {A[:16]} (web), {OTHER.container_id or '':.16} (other)",
        ),
    ],
)
def test_what_means_none_is_refused_with_near_names(wanted: str, message: str, hint: str) -> None:
    error = refusal(wanted, ALL)
    assert error.message == message
    assert error.hint.startswith(hint)


@pytest.mark.parametrize("wanted", ["web", "", "\0"])
def test_without_any_container_that_is_said(wanted: str) -> None:
    error = refusal(wanted, [])
    assert error.hint == "names are looked up when the recording begins: start the container first"
    assert error.message.endswith("no container is running" if wanted else "a name has at least one character")


def test_many_containers_are_not_all_listed() -> None:
    many = [container(name=f"c{number:03}") for number in range(100)]
    assert refusal("zzz", many).hint == "running now: c000, c001, c002, c003, c004, c005, c006, c007, and 92 more"
    assert refusal("zzz", [container()]).hint == "the containers that run now have neither a name nor an id"


@given(st.text(max_size=20), st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_whatever_is_typed_and_whatever_runs_nothing_else_is_raised(wanted: str, those: list[tuple[str, str]]) -> None:
    candidates = [container(container_id, name) for container_id, name in those]
    said = ""
    try:
        assert find(wanted, candidates)
    except RecorderError as error:
        said = error.message + error.hint
    assert said.isprintable()
