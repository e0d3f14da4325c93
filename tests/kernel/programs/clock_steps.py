"""Be ``record`` with a wall clock that is steps ahead: ``clock_steps.py FILE record's arguments…``. FILE has the seconds, and may change.

A step of the machine's own clock would be one for everybody on it, and no namespace has a wall clock of its own (time_namespaces(7)). So
the step comes where the recorder reads that clock.
"""

import sys
import time
from pathlib import Path

from recorder import cli

file = Path(sys.argv.pop(1))
time_ns = time.time_ns
time.time_ns = lambda: time_ns() + int(file.read_text()) * 1_000_000_000
cli.main()
