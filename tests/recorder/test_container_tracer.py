"""The functions that make columns of the container tracer's records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recorder.runtimes import Runtimes
from recorder.tracers import container as tracer
from recorder.tracers.container import cgroup_path
from tests.recorder.derived import derived_columns

ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
OTHER = "99f3a16ea25b7724cb56a4f0c0df1113ad9474fbf5545bead97fd5c7f61c13f4"
UID = "eab5a334-93fe-48a8-b139-9e8079c1f163"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the runtimes' files looked for below a folder of the test's own."""
    runtimes = Runtimes(tmp_path)
    monkeypatch.setattr(tracer, "_runtimes", lambda: runtimes)
    return tmp_path


def innermost_first(path: str | bytes) -> bytes:
    return path if isinstance(path, bytes) else b"".join(part.encode() + b"\0" for part in reversed(path.split("/")[1:]))


def columns(*paths: str | bytes, is_whole: int = 1, memory: str = "", **fields: int) -> dict[str, list[Any]]:
    """Return the derived columns of records with these paths, as the kernel side writes them; all with the same one in v1, if any."""
    rows: list[dict[str, Any]] = []
    in_v1 = innermost_first(memory)
    for path in paths:
        names = innermost_first(path)
        own = {"path": names, "path_size": len(names), "path_is_whole": is_whole, "owner": 0, "memory_owner": 0} | fields
        rows.append(own | {"memory_path": in_v1, "memory_path_size": len(in_v1), "memory_path_is_whole": 1, "memory_cgroup_id": 7 if memory else 0})
    return derived_columns("container", "container", rows)


@pytest.mark.parametrize(
    ("names", "is_whole", "path"),
    [
        (b"", True, "/"),
        (b"docker\0", True, "/docker"),
        (b"c\0b\0a\0", True, "/a/b/c"),
        (b"c\0b\0a\0", False, "…/a/b/c"),
        (b"odd\nname\x1b[31m\0\xff\xfe\0", True, "/\ufffd\ufffd/odd\nname\x1b[31m"),
        (b"x" * 255 + b"\0", True, "/" + "x" * 255),
    ],
)
def test_a_path_is_put_together_from_its_end(names: bytes, is_whole: bool, path: str) -> None:
    assert cgroup_path(names, is_whole) == path


def test_what_is_behind_a_path_is_old_memory() -> None:
    found = columns(f"/docker/{ID}", b"", "/user.slice/a")
    assert found["cgroup_path"] == [f"/docker/{ID}", "/", "/user.slice/a"]
    assert found["container_id"] == [ID, None, None]
    assert found["source"] == ["kernel"] * 3
    assert columns("/a", is_whole=0)["cgroup_path"] == ["…/a"]


def test_an_id_is_found_in_a_path_that_does_not_reach_the_root() -> None:
    found = columns(f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/crio-{ID}.scope/a/b", is_whole=0)
    assert (found["container_id"], found["runtime"], found["pod_uid"]) == ([ID], ["cri-o"], [UID])


def test_the_path_in_v1_tells_where_that_in_v2_does_not() -> None:
    engine = "/system.slice/containerd.service"
    found = columns(engine, f"/docker/{ID}", f"/kubepods/pod{UID}", memory=f"/kubepods/pod{UID}/{OTHER}")
    assert found["container_id"] == [OTHER, ID, OTHER]
    assert found["pod_uid"] == [UID, None, UID]
    assert found["cgroup_path"] == [engine, f"/docker/{ID}", f"/kubepods/pod{UID}"]
    assert found["memory_cgroup_path"] == [f"/kubepods/pod{UID}/{OTHER}"] * 3
    alone = columns(engine)
    assert (alone["container_id"], alone["memory_cgroup_path"]) == ([None], [None])


def test_a_group_that_a_user_may_have_made_is_marked_and_one_that_was_given_away_with_its_name_is_not() -> None:
    session = "/user.slice/user-1000.slice/user@1000.service"  # root made it, and gave it to the user
    assert columns(f"{session}/docker-{ID}.scope", owner=1000, owner_depth=1)["delegated_uid"] == [1000]
    assert columns(f"{session}/docker-{ID}.scope/init.scope", owner=1000, owner_depth=2)["delegated_uid"] == [1000]
    assert columns(f"/docker/{ID}/init.scope", owner=100_000, owner_depth=1)["delegated_uid"] == [None]
    assert columns(f"/docker/{ID}/init.scope", owner=100_000, owner_depth=0)["delegated_uid"] == [None]
    assert columns(f"/docker/{ID}")["delegated_uid"] == [None]
    assert columns(session, owner=1000, owner_depth=0)["delegated_uid"] == [None]
    # An id inside of another's: the inner one is what counts.
    assert columns(f"/docker/{ID}/docker/{OTHER}", owner=100_000, owner_depth=2)["delegated_uid"] == [100_000]
    in_v1 = columns("/engine", memory=f"{session}/docker-{ID}.scope", memory_owner=1000, memory_owner_depth=1)
    assert in_v1["delegated_uid"] == [1000]
    assert columns("/engine", memory=f"/docker/{ID}", owner=1000, owner_depth=0)["delegated_uid"] == [None]


def test_without_a_file_of_the_runtime_the_path_says_what_it_can() -> None:
    found = columns(f"/docker/{ID}", f"/kubepods/pod{UID}/{OTHER}", "/lxc.payload.web/init.scope", "/user.slice", f"/docker/{ID}")
    assert found["container_id"] == [ID, OTHER, "web", None, ID]
    assert found["runtime"] == ["docker", None, "lxc", None, "docker"]
    assert found["pod_uid"] == [None, UID, None, None, None]
    assert found["name"] == [None, None, "web", None, None]
    assert found["image"] == [None] * 5
    assert found["source"] == ["kernel"] * 5


def test_name_and_image_are_those_of_the_runtimes_file(root: Path) -> None:
    folder = root / "var/lib/docker/containers" / ID
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(json.dumps({"ID": ID, "Name": "/web", "Config": {"Image": "nginx:1.27"}}))
    task = root / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / OTHER
    task.mkdir(parents=True)
    cri = {"sandbox-namespace": "shop", "sandbox-name": "cart-0", "container-name": "app", "image-name": "registry/cart:2"}
    (task / "config.json").write_text(json.dumps({"annotations": {f"io.kubernetes.cri.{key}": value for key, value in cri.items()}}))
    found = columns(f"/system.slice/docker-{ID}.scope", f"/kubepods/pod{UID}/{OTHER}", "/")
    assert found["name"] == ["web", "shop/cart-0/app", None]
    assert found["image"] == ["nginx:1.27", "registry/cart:2", None]
    assert found["runtime"] == ["docker", "containerd", None], "a path with a bare id does not tell it, the file does"
    assert found["source"] == ["runtime file", "runtime file", "kernel"]


def test_a_damaged_file_of_a_runtime_is_none(root: Path) -> None:
    folder = root / "var/lib/docker/containers" / ID
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text('{"Name": "/we')
    found = columns(f"/docker/{ID}")
    assert (found["name"], found["source"], found["container_id"]) == ([None], ["kernel"], [ID])
