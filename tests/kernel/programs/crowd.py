"""Be several processes that each start a program so often, one after the other: ``crowd.py PROCESSES COUNT PROGRAM``. Prints all their pids."""

import os
import sys

processes, count, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
read, write = os.pipe()
for _ in range(processes):
    if not os.fork():
        pids = [os.getpid()]
        for _ in range(count):
            pids.append(os.posix_spawn(program, [program], {}))
            os.waitpid(pids[-1], 0)
        os.write(write, f"{' '.join(map(str, pids))}\n".encode())
        os._exit(0)
for _ in range(processes):
    os.wait()
os.close(write)
with os.fdopen(read) as lines:
    sys.stdout.writelines(lines)
