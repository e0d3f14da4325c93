"""The table of the container tracer."""

from __future__ import annotations

from recorder.schema.column import TASK, TS, Column, Kind, Table, Type

FILTERS = frozenset({"cgroup", "container", "containers-only"})
"""Options of `record` that restrict this table; others are about processes, and it is about where these run."""

TABLES = (
    Table(
        "container",
        "a container context (pid, uts and cgroup), or a new host name in one; the task is the one that it was seen in",
        (
            *TS,
            *TASK,
            Column("uts_ns", Type.INT64, "Inode of the uts namespace, which has the host name", kind=Kind.NUMBER),
            Column("mnt_ns", Type.INT64, "Inode of the mount namespace", nullable=True, kind=Kind.NUMBER),
            Column("nodename", Type.CATEGORY, "Host name in it; a container's last row has its final one", kind=Kind.HOST),
            Column(
                "cgroup_path",
                Type.STRING,
                "Path of the cgroup that cgroup_id names; it begins with … where that has more than 16 parts or 1 kB",
                kind=Kind.CONTAINER,
            ),
            Column(
                "memory_cgroup_id",
                Type.INT64,
                "Id of its group of cgroup v1's memory controller, on hosts with v1 and v2 where that is another one than cgroup_id; else NULL",
                nullable=True,
                kind=Kind.NUMBER,
            ),
            Column("memory_cgroup_path", Type.STRING, "Path of that group, as cgroup_path is", nullable=True, kind=Kind.CONTAINER),
            Column(
                "container_id",
                Type.STRING,
                "The runtime's id, from cgroup_path or, where that has none, from memory_cgroup_path",
                nullable=True,
                kind=Kind.ID,
            ),
            Column(
                "delegated_uid",
                Type.INT32,
                "User whose part of the hierarchy the group of that id was made in: it need not be what its name says. NULL: root made it",
                nullable=True,
                kind=Kind.USER,
            ),
            Column("name", Type.STRING, "Name that users know it by", nullable=True, kind=Kind.CONTAINER),
            Column(
                "runtime",
                Type.CATEGORY,
                "docker, containerd, cri-o, podman, lxc or systemd-nspawn, from the same path",
                nullable=True,
                kind=Kind.PLAIN,
            ),
            Column("pod_uid", Type.STRING, "Kubernetes' uid of its pod, from the same path", nullable=True, kind=Kind.ID),
            Column("image", Type.STRING, "Image that it was made from", nullable=True, kind=Kind.CONTAINER),
            Column(
                "source",
                Type.CATEGORY,
                "Where name and image are from: 'runtime file', or 'kernel' where the kernel alone was asked",
                kind=Kind.PLAIN,
            ),
        ),
        tracer="container",
        time="ts_ns",
        lasting=True,
    ),
)
