"""The third layer around a stranger's SQL and files: the process gives up all that it does not need to answer.

DuckDB's settings and the allow-list hold as long as DuckDB has no fault. This one is the kernel's, and holds whatever runs in here.
"""

from __future__ import annotations

import atexit
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from analyzer import landlock, scratch
from analyzer.landlock import IOCTL_DEV, READ, READ_FILE, REMOVE_DIR, WRITE, WRITE_FILE, Rule
from analyzer.limits import limit_process
from analyzer.report import queries_folder
from analyzer.unfinished import remove_unfinished, unfinished

# Where code is, and what libraries read for themselves: nothing of it is anybody's secret.
_CODE = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache")
_SYSTEM = (
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/self/cgroup",
    "/proc/self/maps",  # where the C library finds the main thread's stack
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/usr/share/locale",
    "/usr/share/terminfo",
    "/usr/share/zoneinfo",
)
_DEVICES = ("/dev/null", "/dev/tty")


def confine(reads: Iterable[Path], outputs: Iterable[Path | None] = ()) -> None:
    """Bound what this process takes, and let it open nothing but ``reads``, the folders of ``outputs``, and a new folder for what is spilled.

    No TCP connection and no other program either. Where the kernel has no Landlock only the bounds hold. Call it before DuckDB starts
    its threads.
    """
    limit_process()
    if landlock.version():
        landlock.restrict([*_needed(), *_spill(), *((path, READ) for path in reads), *(_output(path) for path in outputs if path is not None)])


def _needed() -> Iterator[Rule]:
    """Yield what Python and libraries open whenever they like: code that is imported late, the machine's description, the terminal."""
    package = Path(__file__).parent
    yield package, READ
    yield package.parent / "recorder", READ
    yield queries_folder(), READ
    # The folder that this package lies in is either one of packages, or a checkout with much else in it.
    imported = {entry for entry in sys.path if entry.startswith("/")} - {str(Path.cwd()), str(package.parent)}
    if package.parent.name.endswith("-packages"):
        imported.add(str(package.parent))
    for place in (*imported, f"{sys.base_prefix}/lib", *_CODE, *_SYSTEM):
        yield Path(place), READ
    for device in _DEVICES:
        yield Path(device), READ_FILE | WRITE_FILE | IOCTL_DEV


def _spill() -> Iterator[Rule]:
    """Make the folder below which all that is temporary is made from now on, since no other one can be made later."""
    try:
        folder = scratch.make()
    except OSError:  # nowhere to write: all is done in memory
        return
    unfinished.add(Path(folder))
    atexit.register(remove_unfinished)
    yield Path(tempfile.gettempdir()), REMOVE_DIR
    tempfile.tempdir = folder
    yield Path(folder), WRITE


def _output(path: Path) -> Rule:
    try:
        is_replaced = stat.S_ISREG(path.stat().st_mode) or path.is_dir()
    except OSError:
        is_replaced = True
    return (path.absolute().parent, WRITE) if is_replaced else (path, READ_FILE | WRITE_FILE | IOCTL_DEV)
