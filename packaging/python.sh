#!/bin/sh
# Print the path of the Python that environments are made from. $PYTHON overrides the choice.
# The distribution's own comes first: its optimised build drains rings faster, and its BCC fits it.
set -eu

# Debian and Ubuntu keep ensurepip, without which no environment can be made, in a package of its own.
fits() { "$1" -I -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
# A shim on PATH (pyenv's, for one) stands for another file: print that one.
show() { "$1" -I -c 'import sys; print(sys.executable)'; }

if [ -n "${PYTHON:-}" ]; then
    fits "$PYTHON" && show "$PYTHON" && exit
    echo "setup: PYTHON=$PYTHON is not a Python 3.11 or newer that can make environments (venv, ensurepip)." >&2
    exit 1
fi

for name in python3 python3.14 python3.13 python3.12 python3.11; do
    IFS=:
    for folder in /usr/bin $PATH; do
        if [ -x "$folder/$name" ] && fits "$folder/$name"; then
            show "$folder/$name"
            exit
        fi
    done
done

echo "setup: neither /usr/bin nor your PATH has a Python 3.11 or newer that can make environments (venv, ensurepip)." >&2
echo "setup: on Debian and Ubuntu: sudo apt-get install python3-venv. Or name another one: make setup PYTHON=/path/to/python3" >&2
exit 1
