"""Make one child by each call that there is; print a line "CALL PID" for each. The children end at once, with another code each."""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import threading

CLONE_FS, CLONE_CLEAR_SIGHAND = 0x200, 0x1_0000_0000  # the latter needs all 64 bits
SYS_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "s390x": 120, "ppc64le": 120}[platform.machine()]
SYS_CLONE3 = 435
SYS_FORK = {"x86_64": 57}.get(platform.machine())
libc = ctypes.CDLL(None, use_errno=True)


def report(call: str, pid: int) -> None:
    assert pid > 0, (call, os.strerror(ctypes.get_errno()))
    os.waitpid(pid, 0)
    os.write(1, f"{call} {pid}\n".encode())


def by_syscall(call: str, code: int, number: int, *arguments: object) -> None:
    # No memory is shared, so the child goes on here as after fork(2).
    pid = libc.syscall(number, *arguments)
    if pid == 0:
        os._exit(code)
    report(call, pid)


if (forked := os.fork()) == 0:
    os._exit(41)
report("fork", forked)
if SYS_FORK:
    by_syscall("fork(2)", 42, SYS_FORK)
by_syscall("clone", 43, SYS_CLONE, CLONE_FS | signal.SIGCHLD, None, None, None, None)
# struct clone_args of linux/sched.h, its first version: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
clone_args = struct.pack("8Q", CLONE_CLEAR_SIGHAND, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
by_syscall("clone3", 44, SYS_CLONE3, clone_args, len(clone_args))
report("posix_spawn", os.posix_spawn("/bin/sh", ["sh", "-c", "exit 45"], {}))
with subprocess.Popen(["/bin/sh", "-c", "exit 46"]) as child:  # vfork(2), where Python has it
    child.wait()
os.write(1, f"vfork {child.pid}\n".encode())
thread = threading.Thread(target=lambda: os.write(1, f"pthread_create {threading.get_native_id()}\n".encode()))
thread.start()
thread.join()
