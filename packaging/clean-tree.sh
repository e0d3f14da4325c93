#!/bin/sh
# Make what `make test-install` installs into: a Debian with nothing but what an installation needs, and the wheels for its Python.
# Usage: packaging/clean-tree.sh    prints both folders, which lie outside of the repository and are kept between runs
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
suite=bookworm
python=3.11
kept=${XDG_CACHE_HOME:-$HOME/.cache}/bpftape

# Another list of packages makes another tree, another list of libraries other wheels.
key() { cat "$0" "$@" | cksum | cut -d ' ' -f 1; }
tree=$kept/tree-$suite-$(key "$source/packaging/system-packages.sh")
wheels=$kept/wheels-$python-$(key "$source/pyproject.toml")
mkdir -p "$kept"

if [ ! -d "$tree" ]; then
    rm -rf "$kept"/tree-* # of other lists, or half made
    echo "clean-tree: making $tree" >&2
    PATH=$PATH:/usr/sbin:/sbin # where debootstrap lies, and sudo's PATH may not look
    debootstrap --variant=minbase --include=make,man-db,bash-completion $suite "$tree.partial" >"$kept/debootstrap.log" 2>&1 || {
        tail -n 5 "$kept/debootstrap.log" >&2
        exit 1
    }
    cp "$source/packaging/system-packages.sh" "$tree.partial/tmp/"
    chroot "$tree.partial" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /tmp/system-packages.sh run >&2
    rm "$tree.partial/tmp/system-packages.sh"
    mv "$tree.partial" "$tree"
fi

if [ ! -d "$wheels" ]; then
    rm -rf "$kept"/wheels-*
    "$source/.venv/bin/python" -m pip download -qq --disable-pip-version-check --only-binary=:all: --python-version $python \
        --dest "$wheels.partial" "$source[share,charts]" 'hatchling>=1.26' >&2
    mv "$wheels.partial" "$wheels"
fi

printf '%s\n' "$tree" "$wheels"
