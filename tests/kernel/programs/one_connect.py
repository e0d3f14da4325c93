"""Connect once, and say who did: the process id, its start in clock ticks as /proc has it, the local port."""

import os
import socket
import sys
from pathlib import Path

from tests.kernel.programs.attempts import say

sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
say({"pid": os.getpid(), "start_ticks": ticks, "sport": sock.getsockname()[1]})
