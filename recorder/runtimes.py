"""What container runtimes keep about their containers in files that root can read: name and image.

Names of cgroups, and files in homes, are what anybody on the host made them: nothing read here is trusted, and nothing raises.
A home's files count for the containers of that home's owner alone, and only where no file of the host's own tells.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from recorder.identity import Identity

FILE_BYTES = 4 << 20
"""Largest file that is read, in bytes."""

TEXT_CHARACTERS = 1_024
FOUND_S = 60.0
MISSED_S = 1.0
READING_SHARE = 10
ENTRIES = 4_096


class _Files(NamedTuple):
    """Where runtimes keep their files: folders of the host's own, below its root, and one below the home of each user."""

    system: tuple[str, ...]
    home: str | None = None


# moby, daemon/container/container.go: configFileName, below containers/ID of the data root.
_DOCKER = _Files(("var/lib/docker/containers", "var/snap/docker/common/var-lib-docker/containers"), ".local/share/docker/containers")
# containers/storage, store.go: GraphRoot and RunRoot, DRIVER-containers; containers.go: the two files. Podman's --rm uses the volatile one.
_ROOTS_STORAGE = "root/.local/share/containers/storage"
_STORAGE = _Files(("var/lib/containers/storage", "run/containers/storage", _ROOTS_STORAGE), ".local/share/containers/storage")
_DRIVERS = ("overlay", "vfs", "btrfs", "zfs")
_STORAGE_FILES = tuple(f"{driver}-containers/{name}" for driver in _DRIVERS for name in ("containers.json", "volatile-containers.json"))
# containerd, core/runtime/v2/bundle.go: STATE/NAMESPACE/ID/config.json; k3s, k0s and microk8s have a state folder of their own.
_STATES = ("run/containerd", "run/k3s/containerd", "run/k0s/containerd", "var/snap/microk8s/common/run/containerd")
_CONTAINERD = _Files(tuple(f"{state}/io.containerd.runtime.v2.task" for state in _STATES))
# lxc.container.conf(5), and lxc(7) for unprivileged containers.
_LXC = _Files(("var/lib/lxc",), ".local/share/lxc")
# systemd, src/machine/machine.c: machine_save().
_MACHINES = _Files(("run/systemd/machines",))

_CRI = "io.kubernetes.cri."


@dataclass(frozen=True, slots=True)
class Named:
    """What a runtime's file says of a container; None is what it does not say."""

    name: str | None
    image: str | None
    runtime: str


_Reader = Callable[[Path, str], Named | None]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Store(NamedTuple):
    """What a store's file said: for the containers in it until ``until``, and for others until ``missed_until``."""

    until: float
    missed_until: float
    version: tuple[int, ...] | None
    containers: dict[str, Named]


class Runtimes:
    """Looks containers up in the files of their runtimes, below ``root``; ``clock`` gives monotonic seconds.

    What is found is kept for a minute, a miss for a second: runtimes write some files after the container has begun.
    """

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._known: dict[tuple[str | None, str, int | None], tuple[float, Named | None]] = {}
        self._stores: dict[Path, _Store] = {}

    def lookup(self, identity: Identity) -> Named | None:
        """Return what the runtime of ``identity`` says of it, or None when no file tells. Never raises."""
        if identity.container_id is None or not _is_file_name(identity.container_id):
            return None
        key = (identity.runtime, identity.container_id, identity.user)
        now = self._clock()
        if (known := self._known.get(key)) and now < known[0]:
            return known[1]
        named = self._read(*key)
        told = named is not None and (named.name or named.image)
        _keep(self._known, key, (now + (FOUND_S if told else MISSED_S), named))
        return named

    def _read(self, runtime: str | None, container_id: str, user: int | None) -> Named | None:
        docker, storage, containerd = (self._docker, _DOCKER), (self._storage, _STORAGE), (self._containerd, _CONTAINERD)
        readers: Mapping[str | None, tuple[tuple[_Reader, _Files], ...]] = {
            "docker": (docker,),
            "podman": (storage,),
            "cri-o": (storage,),
            "containerd": (containerd,),
            "lxc": ((self._lxc, _LXC),),
            "systemd-nspawn": ((self._nspawn, _MACHINES),),
            None: (docker, storage, containerd),
        }
        asked = readers.get(runtime, ())
        system = ((read, folder) for read, files in asked for folder in self._system(files, user))
        homes = ((read, home / files.home) for home in self._homes(user) for read, files in asked if files.home)
        return next((named for read, folder in itertools.chain(system, homes) if (named := read(folder, container_id))), None)

    def _system(self, files: _Files, user: int | None) -> Iterator[Path]:
        return (self._root / folder for folder in files.system if folder != _ROOTS_STORAGE or user in (None, 0))

    def _homes(self, user: int | None) -> Iterator[Path]:
        """Yield the homes that are that user's own. A link is none: a user may have made it, to another's home."""
        homes = self._root / "home"
        for home in (homes / name for name in (_names(homes) if user is not None else ())):
            try:
                status = home.lstat()
            except OSError:
                continue
            if stat.S_ISDIR(status.st_mode) and status.st_uid == user:
                yield home

    def _docker(self, folder: Path, container_id: str) -> Named | None:
        if (config := _json_object(folder / container_id / "config.v2.json")) is None:
            return None
        name = _text(config.get("Name"))
        return Named(name and (name.removeprefix("/") or None), _text(_object(config.get("Config")).get("Image")), "docker")

    def _storage(self, folder: Path, container_id: str) -> Named | None:
        stores = (self._containers(folder / file, container_id) for file in _STORAGE_FILES)
        return next((containers[container_id] for containers in stores if container_id in containers), None)

    def _containers(self, path: Path, container_id: str) -> dict[str, Named]:
        """Return a store's containers by id. Looks at the file once a second and when that one is missing, and reads it only if it has changed.

        What is missing may be a second old and soon be gone. Files that change all the time, as users' own may, are read a tenth of the time at most.
        """
        now = self._clock()
        known = self._stores.get(path)
        if known and now < (known.until if container_id in known.containers else known.missed_until):
            return known.containers
        version = _version(path)
        containers = known.containers if known and known.version == version else _stored(_json(path)) if version else {}
        after = self._clock()
        _keep(self._stores, path, _Store(after + MISSED_S, after + READING_SHARE * (after - now), version, containers))
        return containers

    def _containerd(self, folder: Path, container_id: str) -> Named | None:
        # Docker's own containers are in the namespace moby: their names are in Docker's files.
        for namespace in (name for name in _names(folder) if name != "moby"):
            if (config := _json_object(folder / namespace / container_id / "config.json")) is not None:
                return _from_annotations(_object(config.get("annotations")))
        return None

    def _lxc(self, folder: Path, name: str) -> Named | None:
        # cgfsng.c appends -1, -2, … to the group's name when a group of that name is there already.
        for candidate in dict.fromkeys((name, re.sub(r"-\d{1,4}\Z", "", name))):
            if candidate and (values := _assignments(folder / candidate / "config")) is not None:
                return Named(_text(candidate), _text(values.get("lxc.rootfs.path") or values.get("lxc.rootfs")), "lxc")
        return None

    def _nspawn(self, folder: Path, name: str) -> Named | None:
        values = _assignments(folder / name)
        if values is None or values.get("CLASS", "container") != "container":
            return None
        return Named(_text(values.get("NAME")) or _text(name), _text(values.get("ROOT")), "systemd-nspawn")


def _keep(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Put ``value`` into ``cache``, which forgets the oldest where it would have more than ENTRIES."""
    cache.pop(key, None)
    if len(cache) >= ENTRIES:
        del cache[next(iter(cache))]
    cache[key] = value


def _is_file_name(name: str) -> bool:
    return 0 < len(name) <= 255 and name not in (".", "..") and not set(name) & {"/", "\0"}


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _version(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file's content; None when there is no file."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _read_file(path: Path) -> bytes | None:
    """Return a regular file's bytes; None when it is none, cannot be read, or has more than FILE_BYTES."""
    try:
        # Neither a link's target nor a pipe that nobody writes to: files in homes are made by their users.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_BYTES:
                return None
            data = file.read(FILE_BYTES + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= FILE_BYTES else None


def _parse(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json(path: Path) -> object:
    data = _read_file(path)
    return None if data is None else _parse(data)


def _json_object(path: Path) -> dict[str, object] | None:
    value = _json(path)
    return value if isinstance(value, dict) else None


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """Return a text that can be stored as UTF-8 (JSON may have lone surrogates); None for what is none, empty or too long to be a name."""
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARACTERS:
        return None
    return value.encode("utf-8", "replace").decode("utf-8")


def _assignments(path: Path) -> dict[str, str] | None:
    """Return the KEY=value lines of a file; the last of a key counts."""
    data = _read_file(path)
    if data is None:
        return None
    lines = (line.partition("=") for line in data.decode("utf-8", "replace").split("\n") if not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip('"') for key, equals, value in lines if equals}


def _stored(containers: object) -> dict[str, Named]:
    entries = containers if isinstance(containers, list) else []
    return {entry["id"]: _from_storage(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)}


def _from_storage(entry: dict[str, object]) -> Named:
    """Return what an entry of containers/storage says. Podman and CRI-O each put JSON of their own into its metadata."""
    metadata = entry.get("metadata")
    said = _object(_parse(metadata)) if isinstance(metadata, str) else {}
    names = entry.get("names")
    # `podman rename` changes the names alone.
    name = _text(names[0] if isinstance(names, list) and names else None) or _text(said.get("name"))
    image = _text(said.get("image-name")) or _text(said.get("image-id")) or _text(entry.get("image"))
    return Named(_pod_path(name), image, "cri-o") if "pod-name" in said else Named(name, image, "podman")


def _pod_path(name: str | None) -> str | None:
    # cri-o, internal/factory/container/container.go and server/naming.go: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, POD for the sandbox.
    parts = name.split("_") if name else []
    if len(parts) != 6 or parts[0] != "k8s":
        return name
    _, container, pod, namespace, _, _ = parts
    return "/".join([namespace, pod] if container == "POD" else [namespace, pod, container])


def _from_annotations(said: dict[str, object]) -> Named:
    # containerd, internal/cri/annotations/annotations.go; nerdctl, pkg/labels/labels.go, copied to annotations by pkg/cmd/container/create.go.
    words = [_text(said.get(_CRI + key)) for key in ("sandbox-namespace", "sandbox-name", "container-name")]
    image = _text(said.get(_CRI + "image-name")) or _text(said.get(_CRI + "podsandbox.image-name"))
    return Named("/".join(word for word in words if word) or _text(said.get("nerdctl/name")), image, "containerd")
