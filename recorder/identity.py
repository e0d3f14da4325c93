"""Whose a cgroup is, by its path: the containers of each runtime, and pods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_ID = "(?P<id>[0-9a-f]{64})"
_BUILD = "(?P<id>[0-9a-z]{25})"
_NAME = "(?P<id>[^/]+)"
_NOT_SUPERVISOR = r"(?!/supervisor(?:/|\Z))"


def _scope(prefix: str, identifier: str = _ID) -> str:
    """Return a pattern for a systemd scope PREFIX-ID.scope, and for PREFIX-ID and PARENT:PREFIX:ID, which the cgroupfs driver makes of it."""
    return rf"(?:[^/]*:)?{prefix}[-:]{identifier}(?:\.scope)?"


# Runtime, and what a group's path has from the beginning of one component to the end of another. Where two patterns find an id at the same
# place the first one counts. A bare id does not tell the runtime. Helpers of runtimes (conmon, lxc.monitor, supervisor) are not in the container.
_PATTERNS: tuple[tuple[str | None, str], ...] = (
    # moby, daemon/oci_linux.go, withCgroups(): /docker/ID, or SLICE:docker:ID under systemd.
    ("docker", _scope("docker")),
    ("docker", rf"docker/{_ID}"),
    # moby's BuildKit, executor/oci/spec.go, GenerateSpec(), and daemon/command, newCgroupParent(): the steps of docker build.
    ("docker", _scope("docker", _BUILD)),
    ("docker", rf"docker/buildkit/{_BUILD}"),
    # containerd, internal/cri/server/helpers.go, getCgroupsPath(); pkg/oci/spec_opts.go, WithNamespacedCgroup(): /NAMESPACE/ID.
    ("containerd", _scope("cri-containerd")),
    ("containerd", rf"(?:k8s\.io|default)/{_ID}"),
    # nerdctl, pkg/cmd/container/run_cgroup_linux.go, generateCgroupPath().
    ("containerd", _scope("nerdctl")),
    # cri-o, internal/config/cgmgr: containerCgroupPath(), and ContainerCgroupPath() of the systemd manager. conmon is in crio-conmon-ID.
    ("cri-o", _scope("crio")),
    # podman, libpod/container_internal_linux.go, getOCICgroupPath(). conmon is in libpod-conmon-ID.scope, or PARENT/conmon.
    ("podman", _scope("libpod")),
    ("podman", rf"libpod-payload-{_ID}"),
    # lxc, src/lxc/cgroups/cgroup.h and cgfsng.c: lxc.payload.NAME; lxc.payload/NAME and lxc/NAME of older ones, and of Proxmox.
    ("lxc", rf"lxc\.payload[./]{_NAME}"),
    ("lxc", rf"lxc/{_NAME}(?!/monitor(?:-\d+)?(?:/|\Z))"),
    # systemd, units/systemd-nspawn@.service.in; src/nspawn/nspawn-cgroup.c, create_subcgroup(): payload and supervisor below the unit.
    ("systemd-nspawn", rf"systemd-nspawn@(?P<id>[^/]+)\.service{_NOT_SUPERVISOR}"),
    # systemd, src/machine/machine.c, machine_start_scope(). libvirt's machines are there too, as DRIVER-NUMBER-NAME.
    ("systemd-nspawn", rf"machine\.slice/(?:[^/]+\.slice/)*machine-(?!(?:qemu|lxc|xen|ch)\\x2d\d+\\x2d)(?P<id>[^/]+)\.scope{_NOT_SUPERVISOR}"),
    # systemd, src/nspawn/nspawn-register.c, allocate_scope(): with --register=no.
    ("systemd-nspawn", r"machine\.slice/(?P<id>(?!machine-)[^/]+)\.scope/payload"),
    # crun by itself, src/libcrun/cgroup-systemd.c, get_systemd_scope_and_slice(); runc by itself, specconv, CreateCgroupConfig().
    (None, _scope("(?:crun|runc)")),
    # Any cgroupfs parent: Kubernetes' pods, docker --cgroup-parent, ECS. Podman's cgroupfs pods are no containers.
    (None, rf"(?<!libpod_parent/){_ID}"),
)
_COMPILED = tuple((runtime, re.compile(rf"(?:\A|(?<=/)){pattern}(?=/|\Z)")) for runtime, pattern in _PATTERNS)

# Kubernetes, pkg/kubelet/cm/cgroup_manager_linux.go, ToSystemd(), where - becomes _; and pod_container_manager_linux.go, podCgroupNamePrefix.
# The uid of a static pod is an MD5: pkg/kubelet/config/common.go, applyDefaults().
_UID = "(?P<uid>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})"
_POD = re.compile(
    rf"(?:\A|(?<=/))(?:(?:[^/]*-)?kubepods(?:-besteffort|-burstable)?-pod{_UID}\.slice(?=[/:]|\Z)|pod{_UID.replace('uid', 'plain')}(?=/|\Z))"
)

# systemd, src/login/logind-user.c: user_new(). At the root alone: below it, users and containers have groups of any name in what is theirs.
_USER = re.compile(r"/user\.slice/user-([0-9]{1,10})\.slice/")

_MACHINE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the path of a cgroup tells of the container in it; None is what it does not tell. ``user`` is the uid whose slice it is in."""

    container_id: str | None = None
    runtime: str | None = None
    pod_uid: str | None = None
    name: str | None = None
    user: int | None = None


@lru_cache(maxsize=4_096)
def identify(cgroup_path: str) -> Identity:
    """Return whose cgroup this is, from its path alone: v1, v2 or hybrid, cgroupfs or systemd driver, with or without its beginning.

    The innermost container counts, and the pod round it. Never raises.
    """
    path = cgroup_path.removesuffix(" (deleted)").removeprefix("…")  # the kernel says (deleted) when the group of a zombie is gone
    found = [(runtime, match) for runtime, pattern in _COMPILED for match in pattern.finditer(path)]
    runtime, match = max(found, key=lambda entry: entry[1].start("id"), default=(None, None))
    uids = [pod["uid"] or pod["plain"] for pod in _POD.finditer(path, 0, match.start("id") if match else len(path))]
    pod_uid = uids[-1].replace("_", "-") if uids else None
    if match is None:
        return Identity(pod_uid=pod_uid)
    container_id = _unescaped(match["id"]) if runtime == "systemd-nspawn" else match["id"]
    user = _USER.match(cgroup_path)  # not of path, whose beginning may be missing
    name = container_id if runtime in ("lxc", "systemd-nspawn") else None
    return Identity(container_id, runtime, pod_uid, name, int(user[1]) if user else None)


def identify_by(cgroup_path: str, memory_cgroup_path: str) -> Identity:
    """Return whose cgroup this is where a task has one in v2 and one in v1: v2's path tells, and v1's where v2's has no container's id."""
    identity = identify(cgroup_path)
    if identity.container_id is None and (other := identify(memory_cgroup_path)).container_id is not None:
        return other
    return identity


def _unescaped(name: str) -> str:
    r"""Return a machine's name without systemd's escapes (``\x2d``); as it is where that gives none that a machine can have."""
    plain = re.sub(r"\\x([0-9a-f]{2})", lambda code: chr(int(code[1], 16)), name)
    return plain if _MACHINE_NAME.fullmatch(plain) else name
