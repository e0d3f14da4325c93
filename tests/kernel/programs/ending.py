"""Live a while by one's own clock, say from when to when, and end as told: ``ending.py code 3`` or ``ending.py signal 11``."""

import os
import resource
import signal
import sys
import time

began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
how, number = sys.argv[1], int(sys.argv[2])
os.chdir(sys.argv[3])  # where a core file may be written
if how == "signal":
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
time.sleep(0.02)
os.write(1, f"{began} {time.clock_gettime_ns(time.CLOCK_BOOTTIME)}\n".encode())
if how == "code":
    os._exit(number)
if number not in (signal.SIGKILL, signal.SIGSTOP):
    signal.signal(number, signal.SIG_DFL)
os.kill(os.getpid(), number)
signal.pause()
