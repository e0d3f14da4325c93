"""Take so many MiB of memory as the first argument says, one after the other; say so, and end with standard input.

Slowly: what somebody had who was killed for it comes back a moment later, and until then there is no memory for anybody.
"""

import sys
import time

taken = []
for _ in range(int(sys.argv[1])):
    taken.append(b"x" * (1 << 20))
    time.sleep(0.02)
print("0", flush=True)
sys.stdin.read()
