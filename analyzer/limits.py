"""What a statement may take: memory, time, room on the disk. DuckDB's own settings, as they are given to it when it starts."""

from __future__ import annotations

import os

from analyzer import scratch

_MEMORY_SHARE = 0.5
_MEMORY_MAX_BYTES = 2 << 30
_MEMORY_BESIDE_BYTES = 1 << 30
_SPILL_MAX = "16GB"


def memory_bytes() -> float:
    """Return how much memory DuckDB may take: half of the machine's, and no more than 2 GiB: what does not fit is spilled."""
    return min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _MEMORY_SHARE, _MEMORY_MAX_BYTES)


def limit_process() -> None:
    """Bound the memory of this process: DuckDB's own limit does not count the strings of constant expressions.

    Without it ``SELECT length(repeat('x', 4000000000))`` takes 8 GB where the limit is 2.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(memory_bytes()) + _MEMORY_BESIDE_BYTES
    if soft == resource.RLIM_INFINITY or soft > limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def spill_folder() -> str:
    """Make a folder for large sorts to spill into; return an empty text where there is nowhere to write, and all is done in memory."""
    # Made here and not by DuckDB, whose folder the whole machine could read: rows hold arguments of programs.
    try:
        return scratch.make()
    except OSError:
        return ""


def settings(timeout_s: float, spill: str, memory: float | None = None) -> dict[str, str | bool | int | float | list[str]]:
    """Return DuckDB's configuration; ``timeout_s`` of 0 means no limit, ``spill`` is the folder, ``memory`` what else than a report may take."""
    return {
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "max_execution_time": round(timeout_s * 1000),
        "max_temp_directory_size": _SPILL_MAX,
        "memory_limit": f"{(memory or memory_bytes()) / 2**20:.0f}MiB",
        "temp_directory": spill,
    }
