#!/bin/sh
# Run the tests: those that need no kernel on all CPUs at once, then, one after the other, those that watch the whole machine.
# Usage: packaging/test.sh [PYTEST_ARGUMENT]...
set -u
cd "$(dirname "$0")/.."
nothing=5 # pytest's status when no test was selected

.venv/bin/python -m pytest -m "not kernel" --numprocesses auto --dist loadfile "$@"
plain=$?
.venv/bin/python -m pytest -m kernel "$@"
kernel=$?

for status in "$plain" "$kernel"; do
    if [ "$status" != 0 ] && [ "$status" != "$nothing" ]; then exit "$status"; fi
done
if [ "$plain" = "$nothing" ]; then exit "$kernel"; fi
exit 0
