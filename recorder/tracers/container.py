"""The container tracer: container contexts as they come up, with what their runtimes know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from recorder.tracers import Probe, Tracer, with_stand_in

if TYPE_CHECKING:
    import pyarrow as pa

    from recorder.decode import Block, Derive
    from recorder.identity import Identity
    from recorder.runtimes import Named, Runtimes


@cache
def _runtimes() -> Runtimes:
    from recorder.runtimes import Runtimes

    return Runtimes()


def cgroup_path(names: bytes, is_whole: bool) -> str:
    """Return the path whose ``names`` come innermost first, each with its NUL; it begins with … where it does not reach the root."""
    parts = [name.decode("utf-8", "replace") for name in names.split(b"\0")[:-1]]
    return ("/" if is_whole else "…/") + "/".join(reversed(parts))


def _paths(block: Block, field: str = "path") -> list[str]:
    wholes = block[f"{field}_is_whole"]
    names = (row[field][: row[f"{field}_size"]].tobytes() for row in block)
    return [cgroup_path(name, bool(whole)) for name, whole in zip(names, wholes, strict=True)]


def _cgroup_path(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.array(_paths(block), pa.string())


def _memory_cgroup_path(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.array(_paths(block, "memory_path"), pa.string(), mask=block["memory_cgroup_id"] == 0)


def _identities(block: Block) -> list[Identity]:
    """Return who each container is: by the path in v2 or, where that tells nothing, by the one in v1."""
    from recorder.identity import identify_by

    return [identify_by(*paths) for paths in zip(_paths(block), _paths(block, "memory_path"), strict=True)]


def _from_path(value: Callable[[Identity, Named | None], str | None], is_category: bool = False) -> Derive:
    """Return a function that makes a column of what the paths of cgroups say, and the runtime's files."""

    def derive(block: Block) -> pa.Array:
        import pyarrow as pa

        texts = pa.array([value(identity, _runtimes().lookup(identity)) for identity in _identities(block)], pa.string())
        return texts.dictionary_encode() if is_category else texts

    return derive


def _delegated_uid(block: Block) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    from recorder.identity import identify

    uids: list[int | None] = []
    for row, path, memory_path in zip(block, _paths(block), _paths(block, "memory_path"), strict=True):
        field, named = ("", path) if identify(path).container_id else ("memory_", memory_path)
        uid, depth = int(row[f"{field}owner"].astype(np.int32)), int(row[f"{field}owner_depth"])
        uids.append(uid if uid and is_delegated(named, depth) else None)
    return pa.array(uids, pa.int32())


def is_delegated(path: str, depth: int) -> bool:
    """Say whether the container that a path names is named by a group further in than the one which ``depth`` others are further in than."""
    from recorder.identity import identify

    parts = path.split("/")
    container_id = identify(path).container_id
    return container_id is not None and identify("/".join(parts[: len(parts) - depth])).container_id != container_id


def _name(identity: Identity, named: Named | None) -> str | None:
    return (named.name if named else None) or identity.name


def _runtime(identity: Identity, named: Named | None) -> str | None:
    return identity.runtime or (named.runtime if named else None)


def _tables(_argv: bool) -> Mapping[str, Mapping[str, Derive]]:
    return {
        "container": {
            "cgroup_path": _cgroup_path,
            "memory_cgroup_path": _memory_cgroup_path,
            "delegated_uid": _delegated_uid,
            "container_id": _from_path(lambda identity, _: identity.container_id),
            "name": _from_path(_name),
            "runtime": _from_path(_runtime, is_category=True),
            "pod_uid": _from_path(lambda identity, _: identity.pod_uid),
            "image": _from_path(lambda _, named: named.image if named else None),
            "source": _from_path(lambda _, named: "runtime file" if named else "kernel", is_category=True),
        }
    }


TRACER = Tracer(
    doc="containers: their namespaces, host names, cgroups, ids, names and images",
    probes=(
        *with_stand_in(Probe("raw_tracepoint", "task_newtask", "container_newtask", ("container",))),
        *with_stand_in(Probe("raw_tracepoint", "sched_process_exec", "container_exec", ("container",))),
        *with_stand_in(Probe("raw_tracepoint", "sched_process_exit", "container_exit", ("container",))),
        Probe("iterator", "task", "bpf_iter__task", ("container",)),
    ),
    tables=_tables,
    # Not for its rate: all containers that are there at the start come at once.
    hot=frozenset({"container"}),
    urgent=frozenset({"container"}),
)
