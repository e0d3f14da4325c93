"""The clone tracer: new tasks, programs started, processes ended, and the processes that were there before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recorder.privilege import in_initial_pid_namespace
from recorder.tracers import Probe, Tracer, with_stand_in

if TYPE_CHECKING:
    import pyarrow as pa

    from recorder.btf import Btf
    from recorder.decode import Block, Derive

FILENAME_BYTES = 512
PROC_BYTES = 4_096
# Where there are hierarchies of v1, each has a line, and each path may have some 4 KiB.
CGROUP_BYTES = 65_536


def _flags(btf: Btf) -> Sequence[str]:
    # Newer kernels hand group_dead to the tracepoint: whether this was the last thread. On others clone.c finds it out.
    return ("-DEXIT_HAS_GROUP_DEAD",) if btf.raw_tracepoint_arguments("sched_process_exit") == 2 else ()


def _filename(block: Block) -> pa.Array:
    from recorder.decode import strings

    return strings(block["filename"], block["filename_size"])


def _filename_truncated(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.array(block["filename_size"] == FILENAME_BYTES)


def _argv(block: Block) -> pa.Array:
    from recorder.decode import string_lists

    return string_lists(block["argv"], block["argv_kept"], block["argv_read"] != 0)


def _argv_truncated(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.array(block["argv_size"] > block["argv_kept"])


def _exit_code(block: Block) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(((block["status"] >> 8) & 0xFF).astype(np.int32), mask=block["status"] & 0x7F != 0)


def _signal(block: Block) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    signal = (block["status"] & 0x7F).astype(np.int32)
    return pa.array(signal, mask=signal == 0)


def _core_dumped(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.array(block["status"] & 0x80 != 0)


def _duration_ns(block: Block) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array((block["ts_ns"] - block["start_ns"]).astype(np.int64))


def _proc() -> Path | None:
    """Return /proc, or None where its process ids would name other processes than the kernel's do."""
    return Path("/proc") if in_initial_pid_namespace() else None


def _read(pid: int, name: str, most: int = PROC_BYTES) -> bytes | None:
    try:
        if (proc := _proc()) is None:
            return None
        with (proc / str(pid) / name).open("rb") as file:
            return file.read(most)
    except OSError:  # it has ended meanwhile, or is not ours to see
        return None


def _exe(block: Block) -> pa.Array:
    import pyarrow as pa

    def link(pid: int) -> str | None:
        try:
            path = str((proc / str(pid) / "exe").readlink()) if (proc := _proc()) else None
        except OSError:  # a kernel thread, or as above
            return None
        return path and path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    return pa.array([link(int(pid)) for pid in block["pid"]], pa.string())


def _cmdline(block: Block) -> pa.Array:
    import pyarrow as pa

    from recorder.cmdlines import command_lines

    texts = command_lines([int(pid) for pid in block["pid"]] if _proc() else [], PROC_BYTES) or [None] * len(block)
    # The last NUL ends the last argument; without it the arguments were cut off, or overwritten by the process.
    words = [text.removesuffix(b"\0").decode("utf-8", "replace").split("\0") if text else None for text in texts]
    return pa.array(words, pa.list_(pa.string()))


def _not_recorded(block: Block) -> pa.Array:
    import pyarrow as pa

    return pa.nulls(len(block), pa.list_(pa.string()))


def cgroup_paths(lines: str) -> tuple[str | None, str | None]:
    """Return the paths in v2 and in v1's memory controller from the text of /proc/PID/cgroup; None for one that is not there."""
    # Not splitlines(): a group's name may have any of the characters that it takes for a line's end, but for the newline.
    fields = (line.split(":", 2) for line in lines.split("\n"))
    paths = {found[1]: found[2] for found in fields if len(found) == 3}
    return paths.get(""), next((path for controllers, path in paths.items() if "memory" in controllers.split(",")), None)


def cgroup_path(lines: str) -> str | None:
    """Return the path that goes with ``cgroup_id``: v2's, or the memory controller's where v2 is at its root. ``lines`` are as above."""
    unified, memory = cgroup_paths(lines)
    return memory or unified if unified in (None, "/") else unified


def _cgroup_path(block: Block) -> pa.Array:
    import pyarrow as pa

    texts = (_read(int(pid), "cgroup", CGROUP_BYTES) for pid in block["pid"])
    return pa.array([cgroup_path(text.decode("utf-8", "replace")) if text else None for text in texts], pa.string())


def _tables(argv: bool) -> Mapping[str, Mapping[str, Derive]]:
    return {
        "clone": {},
        "exec": {"filename": _filename, "filename_truncated": _filename_truncated, "argv": _argv, "argv_truncated": _argv_truncated},
        "exit": {"exit_code": _exit_code, "signal": _signal, "core_dumped": _core_dumped, "duration_ns": _duration_ns},
        "process": {"exe": _exe, "cmdline": _cmdline if argv else _not_recorded, "cgroup_path": _cgroup_path},
    }


TRACER = Tracer(
    doc="processes and threads: made, started a program, ended; and those that were there before",
    probes=(
        *with_stand_in(Probe("raw_tracepoint", "task_newtask", "on_task_newtask", ("clone",))),
        *with_stand_in(Probe("raw_tracepoint", "sched_process_exec", "on_sched_process_exec", ("exec",))),
        *with_stand_in(Probe("raw_tracepoint", "sched_process_exit", "on_sched_process_exit", ("exit",))),
        Probe("iterator", "task", "bpf_iter__task", ("process",)),
    ),
    tables=_tables,
    hot=frozenset({"clone", "exec", "exit", "process"}),
    flags=_flags,
)
