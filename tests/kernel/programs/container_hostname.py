"""Set the host name to the bytes that the first argument is the hexadecimal digits of; with "clone" as the second, fork once."""

import ctypes
import os
import sys

name = bytes.fromhex(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
if libc.sethostname(name, len(name)):
    sys.exit(os.strerror(ctypes.get_errno()))
if sys.argv[2] == "clone":
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
