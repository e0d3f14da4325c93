"""Descend: children, grandchildren, a thread's child, an orphan. Prints all process ids of the family, its own first, when all have ended.

Each of them starts the program that is the first argument once.
"""

import json
import os
import sys
import threading
import time

program = sys.argv[1]
read, write = os.pipe()
elder = os.getpid()


def start() -> None:
    pid = os.posix_spawn(program, [program], os.environ)
    os.waitpid(pid, 0)
    os.write(write, f"{pid}\n".encode())


def descend(generations: int) -> None:
    """Be the parent of a child that is the parent of a child."""
    start()
    if generations:
        pid = os.fork()
        if not pid:
            descend(generations - 1)
            os._exit(0)
        os.write(write, f"{pid}\n".encode())
        os.waitpid(pid, 0)


def leave_an_orphan() -> None:
    parent = os.fork()
    if not parent:
        mother = os.getpid()
        orphan = os.fork()
        if not orphan:
            os.setsid()
            while os.getppid() == mother:
                time.sleep(0.001)
            start()
            os._exit(0)
        os.write(write, f"{orphan}\n".encode())
        os._exit(0)
    os.write(write, f"{parent}\n".encode())
    os.waitpid(parent, 0)


descend(3)
leave_an_orphan()
thread = threading.Thread(target=start)
thread.start()
thread.join()
os.close(write)
with os.fdopen(read) as pids:  # ends with the orphan, the last one that could write
    print(json.dumps([elder, *map(int, pids)]), flush=True)
