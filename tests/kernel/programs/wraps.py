"""Have the kernel's process ids come round so often as the first argument says, starting a program so many times on the way as the second says.

The third is the program. Prints the ids, in their order. Nothing is changed that lasts: the kernel is told where to go on (as checkpointing
tools do), and goes on from its largest id with its smallest, as it does by itself.
"""

import json
import os
import sys
from pathlib import Path

laps, count = map(int, sys.argv[1:3])
largest = int(Path("/proc/sys/kernel/pid_max").read_text())
pids = []
for _ in range(laps):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(largest - count // 2))
    for _ in range(count):
        pid = os.posix_spawn(sys.argv[3], sys.argv[3:], os.environ)
        os.waitpid(pid, 0)
        pids.append(pid)
print(json.dumps(pids))
