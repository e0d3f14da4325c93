"""Replace this program by a shell from a thread that is not the first one. Prints the thread's id; the shell prints its own and ends with 27."""

import os
import threading


def replace() -> None:
    os.write(1, f"{threading.get_native_id()}\n".encode())
    os.execv("/bin/sh", ["sh", "-c", "echo $$; exit 27"])


thread = threading.Thread(target=replace)
thread.start()
thread.join()  # does not return: the exec ends this thread
