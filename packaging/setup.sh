#!/bin/sh
# Make .venv: an isolated environment with bpftape (editable) and the development tools. Does nothing when that is up to date.
set -eu
cd "$(dirname "$0")/.."

packaging/system-packages.sh test
python=$(packaging/python.sh)

# An environment holds absolute paths and belongs to one Python: when either changes, it is made anew.
place="$(pwd) $("$python" -I -c 'import sys; print(sys.executable, sys.version.split()[0])')"
project=$(cat pyproject.toml recorder/__init__.py | cksum)
stamp=.venv/bpftape-setup

if [ "$(cat "$stamp" 2>/dev/null)" = "$place
$project" ]; then
    exit 0
fi

# After "sudo make …" in a user's clone, the next plain "make" must be able to bring it up to date.
hand_over() {
    if [ "$(id -u)" = 0 ] && [ "$(stat -c %u .)" != 0 ] && [ -e .venv ]; then chown -R "$(stat -c %u:%g .)" .venv; fi
}
trap hand_over EXIT

clear=
if [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$place" ]; then
    echo "setup: making .venv from $python" >&2
    clear=--clear
fi
rm -f "$stamp"
"$python" -I -m venv $clear .venv
echo "setup: installing bpftape and its development tools into .venv" >&2
# Dependency groups need pip 25.1; -qq keeps warnings about a machine's own pip configuration out of sight, errors are shown.
.venv/bin/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
.venv/bin/python -m pip install -qq --disable-pip-version-check --group dev --editable '.[share,charts]'
mkdir -p -m 700 .venv/var/cache/bpftape # compiled programs; see recorder/cache.py
printf '%s\n%s\n' "$place" "$project" >"$stamp"
echo "setup: done. The commands are .venv/bin/record, .venv/bin/analyze and .venv/bin/bpftape" >&2
