#!/bin/sh
# Make the disk that virtual machines run the kernel's tests from: a Debian with its own Python and BCC, and an environment for bpftape.
# Usage: packaging/guest-image.sh SUITE PURPOSE    prints the folder of packaging/tree.sh and the image, which lie outside of the repository and are kept between runs
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
suite=$1 purpose=$2
kept=${XDG_CACHE_HOME:-$HOME/.cache}/bpftape
tree=$("$source/packaging/tree.sh" "$suite" "$purpose")
exec 9>"$kept/image.lock" # two of them at once would make the same
flock 9

# The environment holds bpftape as an editable install; what it depends on is said in two files.
key=$({ cat "$0" "$source/recorder/__init__.py"; sed '/^\[tool\.ruff/,$d' "$source/pyproject.toml"; echo "$tree"; } | cksum | cut -d ' ' -f 1)
image=$kept/image-$purpose-$suite-$key.ext4
if [ ! -e "$image" ]; then
    find "$kept" -maxdepth 1 -name "image-$purpose-$suite-*" -mtime +7 -exec rm -rf {} +
    echo "guest-image: making $image" >&2
    made=$image.partial
    rm -rf "$made"
    mkdir -p "$made/wheels" "$made/upper" "$made/work" "$made/root"
    python=$(chroot "$tree" python3 -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$source/.venv/bin/python" -m pip download -qq --disable-pip-version-check --only-binary=:all: --python-version "$python" \
        --dest "$made/wheels" --group "$source/pyproject.toml:kernel-tests" "$source" 'hatchling>=1.26' editables 'pip>=25.1' >&2
    # In a mount namespace of its own, so that nothing stays mounted, however it ends.
    unshare --mount sh -eu -c '
        mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
        mkdir -p "$2/root/mnt/wheels"
        mount --bind -o ro "$3" "$2/root/mnt"
        mount -t tmpfs none "$2/root/tmp"
        mkdir "$2/root/tmp/wheels"
        mount --bind -o ro "$2/wheels" "$2/root/tmp/wheels"
        chroot "$2/root" env -i PATH=/usr/bin:/bin HOME=/root PIP_NO_INDEX=1 PIP_FIND_LINKS=/tmp/wheels sh -euc "
            python3 -I -m venv /opt/bpftape
            /opt/bpftape/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip
            cd /mnt
            /opt/bpftape/bin/python -m pip install -qq --disable-pip-version-check --group kernel-tests --editable .
            mkdir -p -m 700 /opt/bpftape/var/cache/bpftape
        " >&2
        umount "$2/root/tmp/wheels" "$2/root/tmp" "$2/root/mnt"
        PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -O ^has_journal -d "$2/root" "$2/image" 3G >/dev/null
    ' sh "$tree" "$made" "$source"
    mv "$made/image" "$image"
    rm -rf "$made"
fi
touch "$image"
printf '%s\n' "$tree" "$image"
