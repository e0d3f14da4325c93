"""Give up what the rest of a recording does not need, as tcpdump does: once attached, the recorder only reads its rings and writes its folder.

Capabilities are per thread, so this is done before there are any threads, and by the environment none is made by libraries.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from analyzer import landlock
from analyzer.libc import checked, libc
from recorder.apart import apart
from recorder.errors import RecorderError
from recorder.privilege import CAPABILITIES, effective

# numpy's and pyarrow's libraries start threads when they are loaded, which would keep every privilege.
NO_THREADS: Mapping[str, str] = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 24, 38, 47, 4
_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63


def without_threads() -> None:
    """Have libraries that are loaded later start no threads; what the user has set stands."""
    for name, value in NO_THREADS.items():
        os.environ.setdefault(name, value)


def needed(action: Callable[[], object]) -> frozenset[str]:
    """Return the least capabilities of BPF with which ``action`` works: tried on a thread that ends.

    Before Linux 6.0 every call of bpf(2) takes CAP_BPF where unprivileged BPF is switched off; later ones only make and load with it.
    """
    enough = [{"CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"} & effective()]
    for kept in ({"CAP_BPF", "CAP_PERFMON"}, {"CAP_BPF"}, set()):
        if not kept <= effective() or not _works_with(kept, action):
            break
        enough.append(kept)
    return frozenset(enough[-1])


def _works_with(kept: Iterable[str], action: Callable[[], object]) -> bool:
    def attempt() -> None:
        _set_capabilities(kept)
        action()

    try:
        apart(attempt)
    except (OSError, RecorderError):
        return False
    return True


def give_up(kept: Iterable[str], writes: Iterable[landlock.Rule]) -> None:
    """Keep of this process's privileges only the capabilities ``kept``, and write nowhere but where ``writes`` says, where the kernel has Landlock.

    Nothing that it starts gets more. Raise OSError where the kernel refuses.
    """
    kept = set(kept) & effective()
    numbers = {CAPABILITIES[name] for name in kept}
    for number in range(_LAST_CAPABILITY + 1):
        if number not in numbers:
            libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # takes CAP_SETPCAP; no_new_privs is enough without it
    libc().prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    checked(libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    terminal = landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV
    devices = [(Path(device), terminal) for device in ("/dev/tty", "/dev/null")]
    landlock.restrict([(Path("/"), landlock.READ), *devices, *writes], signals=True)  # the command gets signals
    _set_capabilities(kept)


def _set_capabilities(kept: Iterable[str]) -> None:
    """Let this thread have the capabilities ``kept`` and no other, nor hand any on."""
    mask = sum(1 << CAPABILITIES[name] for name in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("=Ii", _VERSION_3, 0)
    data = struct.pack("=6I", low, low, 0, high, high, 0)  # effective, permitted, inheritable: the lower halves, then the upper ones
    checked(libc().capset(header, data))
