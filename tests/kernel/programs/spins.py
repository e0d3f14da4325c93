"""Keep the CPU that the argument names from idling, with the time that nobody else wants. It never ends by itself."""

import os
import sys

from tests.kernel.programs.attempts import say

os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
say("spins")
while True:
    pass
