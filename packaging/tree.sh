#!/bin/sh
# Make a Debian with little more than what system-packages.sh installs, in a folder outside of the repository that is kept between runs.
# Usage: packaging/tree.sh SUITE PURPOSE [PACKAGE,...]    prints the folder; PURPOSE is a word of system-packages.sh
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
suite=$1 purpose=$2 packages=${3-}
kept=${XDG_CACHE_HOME:-$HOME/.cache}/bpftape
mkdir -p "$kept"
exec 9>"$kept/tree.lock" # two of them at once would make the same
flock 9

# Another list of packages makes another tree.
key=$({ cat "$0"; grep -E "^([a-z|-]+\|)?$purpose[| ]" "$source/packaging/system-packages.sh"; echo "$packages"; } | cksum | cut -d ' ' -f 1)
tree=$kept/tree-$suite-$purpose-$key

if [ ! -d "$tree" ]; then
    # Those of other lists may be in use by another checkout: what nobody used for a week goes.
    find "$kept" -maxdepth 1 -name "tree-$suite-$purpose-*" -mtime +7 -exec rm -rf {} +
    rm -rf "$tree.partial"
    echo "tree: making $tree" >&2
    PATH=$PATH:/usr/sbin:/sbin # where debootstrap lies, and sudo's PATH may not look
    debootstrap --variant=minbase ${packages:+--include="$packages"} "$suite" "$tree.partial" >"$kept/debootstrap.log" 2>&1 || {
        tail -n 5 "$kept/debootstrap.log" >&2
        exit 1
    }
    cp "$source/packaging/system-packages.sh" "$tree.partial/tmp/"
    chroot "$tree.partial" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /tmp/system-packages.sh "$purpose" >&2
    rm -rf "$tree.partial/tmp/system-packages.sh" "$tree.partial/var/cache/apt/archives/"*.deb
    mv "$tree.partial" "$tree"
fi
touch "$tree"
echo "$tree"
