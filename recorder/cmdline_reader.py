"""Run as a program of its own: read process ids from standard input, and write what /proc has as the arguments of each to standard output.

Each answer is its length, 4 bytes, and so many bytes; a length of -1 where the process has ended, or is not ours to see. Reading may hang for ever:
the kernel wants the process's memory for it, which one that waits for a dead file server may hold. So it is done where nothing else has to wait.
"""

import ctypes
import os
import signal
import struct
import sys

_PR_SET_PDEATHSIG = 1
LENGTH = struct.Struct("=i")


def read(path: str, most: int) -> bytes | None:
    """Return the first ``most`` bytes of a file; None where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(file, most)
    except OSError:
        return None
    finally:
        os.close(file)


def main() -> None:
    """Answer for each process id; the arguments say how many bytes at most, and who asks: when that ends, so does this."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        return
    for pid in sys.stdin.read().split():
        text = read(f"/proc/{pid}/cmdline", int(sys.argv[1]))
        os.write(1, LENGTH.pack(-1 if text is None else len(text)) + (text or b""))


if __name__ == "__main__":
    main()
