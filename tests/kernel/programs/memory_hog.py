"""Take so many MiB of memory as the first argument says; say so, and end with standard input."""

import sys

taken = b"x" * (int(sys.argv[1]) << 20)
print("0", flush=True)
sys.stdin.read()
