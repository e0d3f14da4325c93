"""Filters in the kernel: from what the user wrote to keys of the maps in ``bpf/filters.c``."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import os
import pwd
import shlex
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from recorder.errors import RecorderError
from recorder.mounts import mounts
from recorder.privilege import in_initial_pid_namespace

ENTRIES = 65_536
COMM_BYTES = 15
_LARGEST_ID = 2**32 - 2
LARGEST_PORT = 65_535
_IS_PID_NS, _IS_V1_CGROUP = 1 << 63, 1 << 62  # IS_PID_NS and IS_V1_CGROUP of bpf/common.h

# Kinds of file systems: v2, as for the kernel side the first one, and v1.
_CGROUPS = ("cgroup2", "cgroup")

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Filters:
    """What rows a recording is restricted to. Values of one kind are alternatives, kinds must all hold."""

    pid: tuple[int, ...] = ()
    comm: tuple[bytes, ...] = ()
    uid: tuple[int, ...] = ()
    cgroup: tuple[int, ...] = ()
    container: tuple[int, ...] = ()
    """Ids of cgroups, those of v1 with the bit below the topmost one set, and inodes of pid namespaces with the topmost one."""
    containers: bool = False
    followed: bool = False
    port: tuple[int, ...] = ()
    daddr: tuple[IPNetwork, ...] = ()
    family: int | None = None
    words: tuple[str, ...] = field(default=(), compare=False)
    """The filters as option=value, for the recording."""

    @property
    def by_task(self) -> bool:
        """Whether any of the filters in ``bpf/filters.c`` is in use."""
        return bool(self.pid or self.comm or self.uid or self.cgroup or self.container or self.followed)

    def flags(self) -> list[str]:
        """Return the compiler flags that switch the filters in use on; none when everything is wanted."""
        names = [name for name in ("pid", "comm", "uid", "cgroup", "container", "containers", "followed", "port") if getattr(self, name)]
        flags = [f"-DFILTER_{name}" for name in names] + ([f"-DFILTER_ENTRIES={ENTRIES}"] if self.by_task else [])
        if self.daddr:
            flags.append(f"-DFILTER_daddr={len(self.daddr)}")
        if self.family:
            flags.append(f"-DFILTER_family={self.family}")
        return flags

    def map_keys(self, source: str) -> list[tuple[str, int | bytes]]:
        """Return (map, key) of all values whose maps are in ``bpf/<source>.c``."""
        values: dict[str, tuple[int | bytes, ...]] = {}
        if source == "filters":
            values = {"pid": self.pid, "comm": self.comm, "uid": self.uid, "cgroup": self.cgroup, "container": self.container}
        elif source == "tcp":
            values = {"port": self.port, "daddr": tuple(_prefix_key(network) for network in self.daddr)}
        return [(f"filter_{name}", key) for name, keys in values.items() for key in keys]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The filters as the user wrote them."""

    pid: Sequence[int] = ()
    comm: Sequence[str] = ()
    uid: Sequence[str] = ()
    cgroup: Sequence[str] = ()
    container: Sequence[str] = ()
    containers_only: bool = False
    follow_children: bool = False
    port: Sequence[str] = ()
    daddr: Sequence[str] = ()
    family: int | None = None

    def words(self) -> tuple[str, ...]:
        """Return them as option=value, for the recording."""
        words: list[str] = []
        for option in fields(self):
            value = getattr(self, option.name)
            name = option.name.replace("_", "-")
            if value is True:
                words.append(name)
            elif isinstance(value, int) and value:
                words.append(f"{name}={value}")
            elif value and not isinstance(value, int):
                words += [f"{name}={one}" for one in value]
        return tuple(words)


def parse(wishes: Wishes) -> Filters:
    """Return the filters for the options' values. Raise RecorderError (exit 2) for a value that nothing can match."""
    options = {"--pid": wishes.pid, "--follow-children": wishes.follow_children, "--container": wishes.container}
    if (option := next((name for name, value in options.items() if value), None)) and not in_initial_pid_namespace():
        hint = "record on the host itself, or filter by --comm, --uid or --cgroup"
        raise RecorderError(f"{option}: process ids in this pid namespace are not those that the kernel records", hint)
    if wishes.family not in (None, 4, 6):
        raise RecorderError(f"--family {wishes.family}: there are 4 and 6", "try: --family 4")
    networks = tuple(_network(network) for network in wishes.daddr)
    if wishes.family and networks and wishes.family not in {network.version for network in networks}:
        hint = f"leave one of them out, or try: --family {networks[0].version}"
        raise RecorderError(f"--family {wishes.family} and --daddr {wishes.daddr[0]}: nothing is both", hint)
    return Filters(
        pid=tuple(_pid(pid) for pid in wishes.pid),
        comm=tuple(_comm(comm) for comm in wishes.comm),
        uid=tuple(_uid(user) for user in wishes.uid),
        cgroup=tuple(_cgroup(cgroup) for cgroup in wishes.cgroup),
        container=_containers(wishes.container),
        containers=wishes.containers_only,
        followed=wishes.follow_children,
        port=tuple(sorted({port for ports in wishes.port for port in _ports(ports)})),
        daddr=networks,
        family=wishes.family,
        words=wishes.words(),
    )


def _is_number(text: str) -> bool:
    """Say whether a text is a number in digits, those of ASCII: other scripts' are somebody's typing error."""
    return text.isascii() and text.isdecimal()


def _ports(text: str) -> range:
    """Return the ports of ``443`` or ``8000-8100``."""
    low, dash, high = text.partition("-")
    if _is_number(low) and (_is_number(high) or not dash):
        ports = range(int(low), int(high or low) + 1)
        if ports and ports[0] >= 1 and ports[-1] <= LARGEST_PORT:
            return ports
    raise RecorderError(
        f"--port {shlex.quote(text)}: give a port from 1 to {LARGEST_PORT}, or two as LOW-HIGH", "try: --port 443, or: --port 8000-8100"
    )


def network(text: str) -> IPNetwork:
    """Return the network of an address or a CIDR, as it is on the wire; raise ValueError where it is none."""
    if "%" in text:
        raise ValueError("a zone cannot be filtered by")
    found = ipaddress.ip_network(text)
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((found.network_address.packed[12:], found.prefixlen - _MAPPED.prefixlen))
    return found


def _network(text: str) -> IPNetwork:
    """Return the network of --daddr."""
    try:
        return network(text)
    except ValueError as error:
        if "%" in text:
            raise RecorderError(f"--daddr {shlex.quote(text)}: {error}", f"try: --daddr {shlex.quote(text.partition('%')[0])}") from error
        hint = "try: --daddr 10.0.0.0/8, or: --daddr 2001:db8::1"
        with contextlib.suppress(ValueError):
            hint = f"did you mean {ipaddress.ip_network(text, strict=False)}?"
        raise RecorderError(f"--daddr {shlex.quote(text)}: {error}", hint) from error


def _prefix_key(network: IPNetwork) -> bytes:
    """Return the key of ``network`` in a trie of IP versions and IPv6 prefixes, into which IPv4 is mapped: ``struct prefix`` of bpf/tcp.c."""
    before = _MAPPED.network_address.packed[:12] if network.version == 4 else b""
    return struct.pack("=IB", 8 + 8 * len(before) + network.prefixlen, network.version) + before + network.network_address.packed


def _containers(names: Sequence[str]) -> tuple[int, ...]:
    """Return what tells the containers of those names apart: their cgroups or, where those say nothing, their pid namespaces."""
    if not names:
        return ()
    from recorder.containers import find, running

    known = running()
    found = [container for name in names for container in find(name, known)]
    groups = {
        (kind, _root_of(path, container.container_id))
        for container in found
        if container.container_id
        for kind, paths in (("cgroup2", container.cgroup_paths), ("cgroup", container.memory_cgroup_paths))
        for path in paths
    }
    bare = {_IS_PID_NS | container.pid_ns for container in found if not container.container_id}
    keys = {_group_key(path, kind) for kind, path in groups} | bare
    if keys == {None}:
        raise RecorderError(f"--container {shlex.quote(names[0])}: it has ended meanwhile", "start it, then record")
    return tuple(key for key in keys if key is not None)


def _group_key(path: str, kind: str) -> int | None:
    """Return the key of a container's cgroup in the hierarchy of that kind; None when it has gone since it was found."""
    folders = (mount / path.lstrip("/") for mount in _mounts(kind))
    try:
        inode = next(folder.stat().st_ino for folder in folders if folder.is_dir())
    except (StopIteration, OSError):
        return None
    return inode | (_IS_V1_CGROUP if kind == "cgroup" else 0)


def _root_of(path: str, container_id: str) -> str:
    """Return ``path`` up to the folder that makes it the container's: what runs below it belongs to it."""
    from recorder.identity import identify

    prefixes = itertools.accumulate(path.split("/"), lambda before, part: f"{before}/{part}")
    return next((prefix for prefix in prefixes if identify(prefix).container_id == container_id), path)


def _pid(pid: int) -> int:
    if pid <= 0 or not Path(f"/proc/{pid}").is_dir():
        raise RecorderError(f"--pid {pid}: no such process", "see: ps -e")
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError as error:  # it has ended meanwhile
        raise RecorderError(f"--pid {pid}: no such process", "see: ps -e") from error
    tgid = next(int(line.split()[1]) for line in status.split(b"\n") if line.startswith(b"Tgid:"))
    if tgid != pid:
        raise RecorderError(f"--pid {pid}: that is a thread of process {tgid}", f"--pid takes processes: --pid {tgid}")
    return pid


def _comm(comm: str) -> bytes:
    name = os.fsencode(comm)
    if not name:
        raise RecorderError("--comm '': a name has at least one byte", "see: ps -e")
    if len(name) > COMM_BYTES:
        kept = name[:COMM_BYTES].decode("utf-8", "ignore")
        raise RecorderError(f"--comm {comm}: the kernel keeps {COMM_BYTES} bytes of a name, so nothing matches", f"try: --comm '{kept}'")
    return name


def _uid(user: str) -> int:
    if _is_number(user):
        if int(user) > _LARGEST_ID:
            raise RecorderError(f"--uid {user}: user ids end at {_LARGEST_ID}", "see: getent passwd")
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError) as error:
        raise RecorderError(f"--uid {user}: no such user", "give a number, or a name that is in: getent passwd") from error


def _mounts(*kinds: str) -> list[Path]:
    """Return where the cgroup file systems of these kinds are mounted: v2, and v1's memory controller."""
    return [mount.path for kind in kinds for mount in mounts(kind) if kind == "cgroup2" or "memory" in mount.options]


def _cgroup(cgroup: str) -> int:
    """Return the id of a cgroup that is given as its id, its folder, or its path below a mount."""
    if _is_number(cgroup):
        return int(cgroup)
    mounts = _mounts(*_CGROUPS)
    for folder in (Path(cgroup), *(mount / cgroup.lstrip("/") for mount in mounts)):
        if folder.is_dir() and any(folder == mount or mount in folder.parents for mount in mounts):
            return folder.stat().st_ino
    where = " or ".join(map(str, mounts)) or "any cgroup file system (none is mounted)"
    raise RecorderError(f"--cgroup {cgroup}: no such folder under {where}", "see: systemd-cgls, or cat /proc/PID/cgroup")
