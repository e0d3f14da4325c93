"""End the first thread of the process before the others, which live on; say when each was seen.

``leader_first.py 21 thread 22``: the first thread ends with 21, the last one with 22, as threads do (exit(2), not exit_group(2)).
``leader_first.py 21 group 22``: the last thread ends the whole process with 22 by exit_group(2).
``leader_first.py 21 signal 15``: the last thread ends the whole process by that signal.
"""

import ctypes
import os
import platform
import sys
import threading
import time
from pathlib import Path

SYS_EXIT = {"x86_64": 60, "aarch64": 93, "riscv64": 93, "s390x": 1, "ppc64le": 1}[platform.machine()]
PR_SET_NAME = 15
libc = ctypes.CDLL(None)
leader_code, how, last_code = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def leader_is_gone() -> bool:
    return Path(f"/proc/self/task/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def last() -> None:
    libc.prctl(PR_SET_NAME, b"the last one", 0, 0, 0)
    while not leader_is_gone():
        time.sleep(0.001)
    gone = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    time.sleep(0.02)
    os.write(1, f"{gone} {time.clock_gettime_ns(time.CLOCK_BOOTTIME)}\n".encode())
    if how == "group":
        os._exit(last_code)
    elif how == "signal":
        os.kill(os.getpid(), last_code)
    else:
        libc.syscall(SYS_EXIT, last_code)


threading.Thread(target=last).start()
libc.syscall(SYS_EXIT, leader_code)
