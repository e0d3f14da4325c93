"""What is read from the files of container runtimes, and that no file and no name can do harm."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import runtimes
from recorder.identity import Identity
from recorder.runtimes import FILE_BYTES, FOUND_S, MISSED_S, TEXT_CHARACTERS, Named, Runtimes

A = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
B = "99f3a16ea25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c13f4"
UID = "eab5a334-93fe-48a8-b139-9e8079c1f163"

DOCKER = "var/lib/docker/containers/{}/config.v2.json"
STORAGE = "var/lib/containers/storage/overlay-containers/containers.json"
CONTAINERD = "run/containerd/io.containerd.runtime.v2.task/{}/{}/config.json"


class Clock:
    """Monotonic time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def write(root: Path, path: str, content: object) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def lookup(root: Path, runtime: str | None, container_id: str | None = A, user: int | None = None) -> Named | None:
    return Runtimes(root).lookup(Identity(container_id, runtime, user=user))


def docker_config(name: str = "/web") -> dict[str, object]:
    """Return the parts of a config.v2.json that matter, among some of those that do not."""
    return {
        "StreamConfig": {},
        "State": {"Running": True, "Pid": 4242, "StartedAt": "2026-11-23T05:00:00.1Z"},
        "ID": A,
        "Created": "2026-11-23T05:00:00Z",
        "Path": "/docker-entrypoint.sh",
        "Args": ["nginx", "-g", "daemon off;"],
        "Config": {"Hostname": A[:12], "Env": ["PATH=/usr/bin"], "Cmd": ["nginx"], "Image": "nginx:1.29", "Labels": {}},
        "Image": "sha256:" + B,
        "NetworkSettings": {"Networks": {"bridge": {}}},
        "Name": name,
        "Driver": "overlay2",
    }


def stored(container_id: str, metadata: object, names: list[str]) -> dict[str, object]:
    """Return an entry of containers/storage's containers.json."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    entry: dict[str, object] = {"id": container_id, "names": names, "image": B, "layer": A, "metadata": text}
    return entry | {"created": "2026-11-23T05:00:00Z", "flags": {"MountLabel": "", "ProcessLabel": ""}}


def podman(name: str = "web") -> dict[str, object]:
    return {"image-name": "docker.io/library/nginx:latest", "image-id": B, "name": name, "created-at": 1_790_000_000}


def crio(name: str, **more: object) -> dict[str, object]:
    pod = {"pod-name": f"k8s_web-0_default_{UID}_0", "pod-id": B, "image-name": "quay.io/nginx/nginx:1.29", "image-id": B}
    return {**pod, "name": name, "metadata-name": "nginx", "created-at": 1_790_000_000, **more}


CRI = {
    "io.kubernetes.cri.container-name": "nginx",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.29",
    "io.kubernetes.cri.sandbox-id": B,
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "default",
    "io.kubernetes.cri.sandbox-uid": UID,
}
CRI_SANDBOX = {
    "io.kubernetes.cri.container-type": "sandbox",
    "io.kubernetes.cri.podsandbox.image-name": "registry.k8s.io/pause:3.10",
    "io.kubernetes.cri.sandbox-id": A,
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-namespace": "default",
}
NERDCTL = {"nerdctl/name": "web", "nerdctl/hostname": A[:12], "nerdctl/namespace": "default", "nerdctl/networks": '["bridge"]'}


def bundle(annotations: object) -> dict[str, object]:
    process = {"args": ["nginx"], "env": ["SECRET=1"], "cwd": "/"}
    return {"ociVersion": "1.2.0", "process": process, "root": {"path": "rootfs"}, "hostname": "web-0", "annotations": annotations}


MACHINE = """# This is private data. Do not parse.
NAME=web-1
SCOPE=machine-web\\x2d1.scope
SERVICE=systemd-nspawn
ROOT=/var/lib/machines/debian
ID=3c5a2c0e0e8f4b0c8a0d3a3c5a2c0e0e
LEADER=4242
CLASS=container
REALTIME=1790000000000000
"""
LXC = """# Template used to create this container: /usr/share/lxc/templates/lxc-download
lxc.include = /usr/share/lxc/config/common.conf
lxc.arch = linux64
lxc.rootfs.path = dir:/var/lib/lxc/web/rootfs
lxc.uts.name = web
lxc.net.0.type = veth
"""
NGINX = Named("web", "nginx:1.29", "docker")
PODMAN = Named("web", "docker.io/library/nginx:latest", "podman")


@pytest.mark.parametrize(
    ("runtime", "container_id", "path", "content", "named"),
    [
        ("docker", A, DOCKER.format(A), docker_config(), NGINX),
        ("docker", A, f"var/snap/docker/common/var-lib-docker/containers/{A}/config.v2.json", docker_config(), NGINX),
        ("podman", A, STORAGE, [stored(B, podman("x"), ["x"]), stored(A, podman(), ["web"])], PODMAN),
        ("podman", A, STORAGE.replace("containers.json", "volatile-containers.json"), [stored(A, podman(), ["web"])], PODMAN),
        ("podman", A, "root/.local/share/containers/storage/vfs-containers/containers.json", [stored(A, podman(), ["web"])], PODMAN),
        ("podman", A, STORAGE, [stored(A, "", ["web"])], Named("web", B, "podman")),
        ("podman", A, STORAGE, [stored(A, podman(), [])], PODMAN),
        # As podman 4.3.1 leaves it after `podman rename web second`.
        ("podman", A, STORAGE, [stored(A, podman(), ["second"])], replace(PODMAN, name="second")),
        (
            "cri-o",
            A,
            STORAGE,
            [stored(A, crio(f"k8s_nginx_web-0_default_{UID}_0"), [f"k8s_nginx_web-0_default_{UID}_0"])],
            Named("default/web-0/nginx", "quay.io/nginx/nginx:1.29", "cri-o"),
        ),
        (
            "cri-o",
            A,
            STORAGE,
            [stored(A, crio(f"k8s_POD_web-0_default_{UID}_0", pod=True, **{"image-name": "registry.k8s.io/pause:3.10"}), [])],
            Named("default/web-0", "registry.k8s.io/pause:3.10", "cri-o"),
        ),
        ("cri-o", A, STORAGE, [stored(A, crio("odd"), [])], Named("odd", "quay.io/nginx/nginx:1.29", "cri-o")),
        ("containerd", A, CONTAINERD.format("k8s.io", A), bundle(CRI), Named("default/web-0/nginx", "docker.io/library/nginx:1.29", "containerd")),
        ("containerd", A, CONTAINERD.format("k8s.io", A), bundle(CRI_SANDBOX), Named("default/web-0", "registry.k8s.io/pause:3.10", "containerd")),
        ("containerd", A, CONTAINERD.format("default", A), bundle(NERDCTL), Named("web", None, "containerd")),
        ("containerd", A, CONTAINERD.format("default", A), bundle(None), Named(None, None, "containerd")),
        (
            "containerd",
            A,
            CONTAINERD.format("k8s.io", A).replace("run/containerd", "run/k3s/containerd"),
            bundle(CRI),
            Named("default/web-0/nginx", "docker.io/library/nginx:1.29", "containerd"),
        ),
        ("systemd-nspawn", "web-1", "run/systemd/machines/web-1", MACHINE, Named("web-1", "/var/lib/machines/debian", "systemd-nspawn")),
        (
            "systemd-nspawn",
            "web-1",
            "run/systemd/machines/web-1",
            MACHINE.replace("/var/lib/machines/debian", '"/srv/my machine"'),
            Named("web-1", "/srv/my machine", "systemd-nspawn"),
        ),
        ("lxc", "web", "var/lib/lxc/web/config", LXC, Named("web", "dir:/var/lib/lxc/web/rootfs", "lxc")),
        ("lxc", "web-1", "var/lib/lxc/web/config", LXC, Named("web", "dir:/var/lib/lxc/web/rootfs", "lxc")),
        # A bare id: the file tells the runtime.
        (None, A, DOCKER.format(A), docker_config(), NGINX),
        (None, A, STORAGE, [stored(A, podman(), ["web"])], PODMAN),
        (None, A, CONTAINERD.format("default", A), bundle(NERDCTL), Named("web", None, "containerd")),
    ],
)
def test_each_runtimes_own_file_is_read(tmp_path: Path, runtime: str | None, container_id: str, path: str, content: object, named: Named) -> None:
    write(tmp_path, path, content)
    assert lookup(tmp_path, runtime, container_id) == named
    assert lookup(tmp_path, runtime, B if container_id == A and STORAGE not in path else "none") is None


def test_a_machine_that_is_virtual_is_no_container(tmp_path: Path) -> None:
    write(tmp_path, "run/systemd/machines/web-1", MACHINE.replace("CLASS=container", "CLASS=vm"))
    assert lookup(tmp_path, "systemd-nspawn", "web-1") is None


def test_bundles_of_dockers_own_namespace_are_left_to_dockers_files(tmp_path: Path) -> None:
    write(tmp_path, CONTAINERD.format("moby", A), bundle({}))
    assert lookup(tmp_path, None) is None
    write(tmp_path, DOCKER.format(A), docker_config())
    assert lookup(tmp_path, None) == NGINX


US = os.getuid()
"""Whose the homes are that the tests make."""

DOCKER_HOME = f".local/share/docker/containers/{A}/config.v2.json"
STORAGE_HOME = ".local/share/containers/storage/overlay-containers/containers.json"
IN_HOMES = pytest.mark.parametrize(
    ("runtime", "container_id", "path", "content", "named"),
    [
        ("docker", A, DOCKER_HOME, docker_config(), NGINX),
        ("podman", A, STORAGE_HOME, [stored(A, podman(), ["web"])], PODMAN),
        ("cri-o", A, STORAGE_HOME, [stored(A, podman(), ["web"])], PODMAN),
        ("lxc", "web", ".local/share/lxc/web/config", "lxc.rootfs = /home/ann/web\n", Named("web", "/home/ann/web", "lxc")),
        (None, A, DOCKER_HOME, docker_config(), NGINX),
        (None, A, STORAGE_HOME, [stored(A, podman(), ["web"])], PODMAN),
    ],
)


@IN_HOMES
def test_a_homes_files_tell_of_its_owners_containers_and_of_no_others(
    tmp_path: Path, runtime: str | None, container_id: str, path: str, content: object, named: Named
) -> None:
    (tmp_path / "home/a").mkdir(parents=True)
    (tmp_path / "home/file").touch()
    write(tmp_path, f"home/ann/{path}", content)
    assert lookup(tmp_path, runtime, container_id, US) == named
    assert lookup(tmp_path, runtime, container_id, US + 1) is None
    assert lookup(tmp_path, runtime, container_id, None) is None
    if US:  # root's containers are those of a user as any other
        assert lookup(tmp_path, runtime, container_id, 0) is None


@IN_HOMES
def test_the_owner_of_the_home_counts_not_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str | None, container_id: str, path: str, content: object, named: Named
) -> None:
    write(tmp_path, f"home/eve/{path}", content)
    real = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        values = list(real(self))
        values[4] = 1000 if self == tmp_path / "home/eve" else values[4]
        return os.stat_result(values, {"st_mtime_ns": real(self).st_mtime_ns})

    monkeypatch.setattr(Path, "lstat", lstat)
    assert lookup(tmp_path, runtime, container_id, US) is None
    assert lookup(tmp_path, runtime, container_id, 1000) == named


@IN_HOMES
def test_a_home_that_is_a_link_is_none(tmp_path: Path, runtime: str | None, container_id: str, path: str, content: object, named: Named) -> None:
    write(tmp_path, f"srv/ann/{path}", content)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/ann").symlink_to(tmp_path / "srv/ann")
    assert lookup(tmp_path, runtime, container_id, US) is None
    (tmp_path / "home/ann").unlink()
    (tmp_path / "srv/ann").rename(tmp_path / "home/ann")
    assert lookup(tmp_path, runtime, container_id, US) == named


@pytest.mark.parametrize(("user", "named"), [(None, PODMAN), (0, PODMAN), (1000, None), (1, None)])
def test_roots_own_store_tells_of_no_users_containers(tmp_path: Path, user: int | None, named: Named | None) -> None:
    for runtime in ("podman", None):
        write(tmp_path, "root/.local/share/containers/storage/vfs-containers/containers.json", [stored(A, podman(), ["web"])])
        assert lookup(tmp_path, runtime, A, user) == named


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [
        (DOCKER.format(A), docker_config(), NGINX),
        (STORAGE, [stored(A, podman(), ["web"])], PODMAN),
        (CONTAINERD.format("default", A), bundle(NERDCTL), Named("web", None, "containerd")),
    ],
)
def test_all_files_of_the_hosts_own_come_before_those_in_homes(tmp_path: Path, path: str, content: object, named: Named) -> None:
    write(tmp_path, f"home/eve/{DOCKER_HOME}", docker_config("/eves"))
    write(tmp_path, f"home/eve/{STORAGE_HOME}", [stored(A, podman("eves"), [])])
    assert lookup(tmp_path, None, A, US) == Named("eves", "nginx:1.29", "docker")
    write(tmp_path, path, content)
    assert lookup(tmp_path, None, A, US) == named
    assert lookup(tmp_path, named.runtime, A, US) == named


def test_what_one_users_files_say_is_not_kept_for_another(tmp_path: Path) -> None:
    write(tmp_path, f"home/eve/{DOCKER_HOME}", docker_config())
    write(tmp_path, f"home/eve/{STORAGE_HOME}", [stored(A, podman(), [])])
    looked_up = Runtimes(tmp_path, Clock())
    for runtime, named in (("docker", NGINX), ("podman", PODMAN), (None, NGINX)):
        assert looked_up.lookup(Identity(A, runtime, user=US)) == named
        assert looked_up.lookup(Identity(A, runtime, user=US + 1)) is None
        assert looked_up.lookup(Identity(A, runtime)) is None


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    for runtime in ("docker", "podman", "cri-o", "containerd", "lxc", "systemd-nspawn", None, "unheard-of"):
        assert lookup(tmp_path, runtime) is None
        assert lookup(tmp_path / "none", runtime) is None
        assert lookup(tmp_path, runtime, None) is None


DEEP = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "[]", "3", '"text"', "\0", DEEP, '{"Config": ' + DEEP + "}", '{"Name": ' + "9" * 10_000 + "}", '{"Name": "cut'],
    ids=lambda content: content[:12],
)
def test_damaged_files_tell_nothing(tmp_path: Path, content: str) -> None:
    for path in (DOCKER.format(A), STORAGE, CONTAINERD.format("default", A)):
        write(tmp_path, path, content)
    for runtime in ("docker", "podman", "cri-o", "containerd", None):
        assert lookup(tmp_path, runtime) is None


@pytest.mark.parametrize("value", [None, 3, True, [], {}, ["web"], "", "/", "x" * (TEXT_CHARACTERS + 1)], ids=repr)
def test_values_of_wrong_types_and_sizes_are_left_out(tmp_path: Path, value: object) -> None:
    write(tmp_path, DOCKER.format(A), {"Name": value, "Config": {"Image": "nginx"}})
    write(tmp_path, STORAGE, [None, 3, [], {"id": value}, {"id": A, "names": value, "image": "i", "metadata": json.dumps({"name": value})}])
    assert lookup(tmp_path, "docker") == Named(None, "nginx", "docker")
    name = "/" if value == "/" else "web" if value == ["web"] else None
    assert lookup(tmp_path, "podman") == Named(name, "i", "podman")
    write(tmp_path, DOCKER.format(A), {"Name": "/web", "Config": value})
    assert lookup(tmp_path, "docker") == Named("web", None, "docker")


def test_metadata_that_is_too_deep_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path, STORAGE, [stored(B, DEEP, ["deep"]), stored(A, podman(), ["web"])])
    assert lookup(tmp_path, "podman") == PODMAN
    assert lookup(tmp_path, "podman", B) == Named("deep", B, "podman")


def test_names_can_be_written_as_utf_8(tmp_path: Path) -> None:
    write(tmp_path, DOCKER.format(A), '{"Name": "/\\ud800\\u001b[31m", "Config": {"Image": "\\u00e9"}}')
    assert lookup(tmp_path, "docker") == Named("?\x1b[31m", "é", "docker")
    (tmp_path / DOCKER.format(A)).write_bytes(b'{"Name": "/\xff"}')
    assert lookup(tmp_path, "docker") is None


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = write(tmp_path, DOCKER.format(A), docker_config())
    text = file.read_text()
    file.write_text(text + " " * (FILE_BYTES - len(text)))
    assert lookup(tmp_path, "docker") == NGINX
    file.write_text(text + " " * (FILE_BYTES + 1 - len(text)))
    assert lookup(tmp_path, "docker") is None


def links(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)  # opening it without care would wait for ever


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("spoil", [links, pipe, folder, device])
@pytest.mark.parametrize(
    ("runtime", "container_id", "path", "content"),
    [
        ("docker", A, DOCKER.format(A), docker_config()),
        ("podman", A, STORAGE, [stored(A, podman(), [])]),
        ("containerd", A, CONTAINERD.format("x", A), bundle(CRI)),
        ("lxc", "web", "var/lib/lxc/web/config", LXC),
        ("systemd-nspawn", "web-1", "run/systemd/machines/web-1", MACHINE),
    ],
)
def test_only_plain_files_are_read(
    tmp_path: Path, runtime: str, container_id: str, path: str, content: object, spoil: Callable[[Path], None]
) -> None:
    file = write(tmp_path, path, content)
    assert lookup(tmp_path, runtime, container_id) is not None
    spoil(file)
    assert lookup(tmp_path, runtime, container_id) is None


@pytest.mark.parametrize("name", ["..", ".", "../secret", "/etc", "secret/..", "a\0b", "", "x" * 256, "x" * 5_000, "\ud800"], ids=ascii)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    for path in ("run/systemd/machines", "run/systemd", "run/systemd/machines/secret"):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
    # Where each would lead if the name was simply appended to the folder.
    for path in ("var/lib/lxc/config", "var/lib/config", "var/lib/secret/config", "run/systemd/secret"):
        write(tmp_path, path, LXC)
    write(tmp_path, "var/lib/docker/containers/config.v2.json", docker_config())
    write(tmp_path, "var/lib/docker/config.v2.json", docker_config())
    write(tmp_path, "var/lib/docker/secret/config.v2.json", docker_config())
    for runtime in ("docker", "podman", "containerd", "lxc", "systemd-nspawn", None):
        assert lookup(tmp_path, runtime, name) is None


def test_what_is_found_is_kept_a_minute_and_a_miss_a_second(tmp_path: Path) -> None:
    clock = Clock()
    looked_up = Runtimes(tmp_path, clock)
    identity = Identity(A, "docker")
    assert looked_up.lookup(identity) is None
    file = write(tmp_path, DOCKER.format(A), docker_config())
    clock.now += MISSED_S * 0.9
    assert looked_up.lookup(identity) is None
    clock.now += MISSED_S * 0.2
    assert looked_up.lookup(identity) == NGINX
    file.unlink()
    clock.now += FOUND_S * 0.9
    assert looked_up.lookup(identity) == NGINX
    clock.now += FOUND_S * 0.2
    assert looked_up.lookup(identity) is None


def test_a_file_that_says_nothing_yet_counts_as_a_miss(tmp_path: Path) -> None:
    clock = Clock()
    looked_up = Runtimes(tmp_path, clock)
    write(tmp_path, CONTAINERD.format("default", A), bundle({}))
    assert looked_up.lookup(Identity(A)) == Named(None, None, "containerd")
    write(tmp_path, CONTAINERD.format("default", A), bundle(NERDCTL))
    clock.now += MISSED_S
    assert looked_up.lookup(Identity(A)) == Named("web", None, "containerd")


def test_a_store_is_parsed_once_for_all_its_containers_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Path] = []
    real = runtimes._json
    monkeypatch.setattr(runtimes, "_json", lambda path: parsed.append(path) or real(path))  # type: ignore[func-returns-value]
    ids = [f"{number:064x}" for number in range(50)]
    clock = Clock()
    looked_up = Runtimes(tmp_path, clock)
    file = write(tmp_path, STORAGE, [stored(container_id, podman(container_id[-2:]), []) for container_id in ids])
    names = []
    for container_id in ids:
        found = looked_up.lookup(Identity(container_id, "podman"))
        names.append(found and found.name)
        clock.now += MISSED_S / 10
    assert names == [container_id[-2:] for container_id in ids]
    assert parsed == [file]
    assert looked_up.lookup(Identity(A, "podman")) is None
    write(tmp_path, STORAGE, [stored(A, podman(), [])])
    clock.now += MISSED_S
    assert looked_up.lookup(Identity(A, "podman")) == PODMAN
    assert parsed == [file, file]


def test_containers_that_come_one_after_the_other_and_go_are_all_found(tmp_path: Path) -> None:
    clock = Clock()
    looked_up = Runtimes(tmp_path, clock)
    for number in range(10):
        container_id, name = f"{number:064x}", f"short-{number}"
        write(tmp_path, STORAGE, [stored(container_id, podman(name), [name])])
        clock.now += MISSED_S / 10
        found = looked_up.lookup(Identity(container_id, "podman"))
        assert found == replace(PODMAN, name=name)
        write(tmp_path, STORAGE, [])
        assert looked_up.lookup(Identity(container_id, "podman")) == found


def test_a_store_that_is_another_one_each_time_is_read_a_tenth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    parsed: list[float] = []

    def slow(_: Path) -> object:
        parsed.append(clock.now)
        clock.now += 0.04
        return []

    monkeypatch.setattr(runtimes, "_json", slow)
    looked_up = Runtimes(tmp_path, clock)
    for number in range(2_000):
        write(tmp_path, STORAGE, [str(number)])
        looked_up.lookup(Identity(f"{number:064x}", "podman"))
        clock.now += 0.001
    assert 0.09 < len(parsed) * 0.04 / (clock.now - 1_000.0) <= 0.1 + 0.04 / (clock.now - 1_000.0)


def test_memory_does_not_grow_with_names_that_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "ENTRIES", 3)
    looked_up = Runtimes(tmp_path, Clock())
    for number in range(10):
        looked_up.lookup(Identity(str(number), "lxc"))
    assert list(looked_up._known) == [("lxc", "7", None), ("lxc", "8", None), ("lxc", "9", None)]
    looked_up.lookup(Identity(A, "podman"))
    assert len(looked_up._stores) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Name", "Config", "Image", "id", "names", "image", "metadata", "annotations", "nerdctl/name", *CRI]), values, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON, st.sampled_from(["docker", "podman", "cri-o", "containerd", "lxc", "systemd-nspawn", None]), st.text(max_size=8))
def test_whatever_the_files_say_nothing_is_raised(value: object, metadata: object, runtime: str | None, text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write(root, DOCKER.format(A), value)
        write(root, STORAGE, [value, {"id": A, "names": value, "image": metadata, "metadata": json.dumps(metadata)}])
        write(root, CONTAINERD.format("default", A), {"annotations": value})
        (root / "var/lib/lxc" / A).mkdir(parents=True)
        (root / "var/lib/lxc" / A / "config").write_bytes(f"lxc.rootfs.path={text}".encode("utf-8", "surrogatepass"))
        found = lookup(root, runtime)
        if runtime in ("podman", "cri-o", "containerd", "lxc"):
            assert found is not None
        for said in (found.name, found.image) if found else ():
            assert said is None or (0 < len(said.encode()) <= 4 * TEXT_CHARACTERS)
        lookup(root, runtime, text)
