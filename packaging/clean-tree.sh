#!/bin/sh
# Make what `make test-install` installs into: a Debian with nothing but what an installation needs, and the wheels for its Python.
# Usage: packaging/clean-tree.sh    prints both folders, which lie outside of the repository and are kept between runs
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm
python=3.11
kept=${XDG_CACHE_HOME:-$HOME/.cache}/bpftape

mkdir -p "$kept"
tree=$("$source/packaging/tree.sh" $suite run make,man-db,bash-completion)

# Another list of libraries makes other wheels.
wheels=$kept/wheels-$python-$(cat "$0" "$source/pyproject.toml" | cksum | cut -d ' ' -f 1)
if [ ! -d "$wheels" ]; then
    rm -rf "$kept"/wheels-*
    "$source/.venv/bin/python" -m pip download -qq --disable-pip-version-check --only-binary=:all: --python-version $python \
        --dest "$wheels.partial" "$source[share,charts]" 'hatchling>=1.26' >&2
    mv "$wheels.partial" "$wheels"
fi

printf '%s\n' "$tree" "$wheels"
