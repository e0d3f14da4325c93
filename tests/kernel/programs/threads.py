"""Start as many threads as the argument says, all alive together; print their ids as one line and end with 31."""

import os
import sys
import threading

count = int(sys.argv[1])
ids: list[int] = []
together = threading.Barrier(count + 1)


def work() -> None:
    ids.append(threading.get_native_id())
    together.wait()


threads = [threading.Thread(target=work) for _ in range(count)]
for thread in threads:
    thread.start()
together.wait()
for thread in threads:
    thread.join()
print(*ids, flush=True)
os._exit(31)
