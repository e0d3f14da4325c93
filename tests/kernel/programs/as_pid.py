"""Run a program as a child with the process id that is the first argument: ``as_pid.py 1234 /bin/true``."""

import ctypes
import os
import signal
import struct
import sys

SYS_CLONE3 = 435
libc = ctypes.CDLL(None, use_errno=True)

wanted = int(sys.argv[1])
pid_array = (ctypes.c_int32 * 1)(wanted)
# struct clone_args of linux/sched.h, its second version: set_tid and set_tid_size come last.
clone_args = struct.pack("10Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(pid_array), 1)
pid = libc.syscall(SYS_CLONE3, clone_args, len(clone_args))
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
if pid < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0)
print(pid)
