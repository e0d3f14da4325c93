#!/bin/sh
# Install bpftape for the whole machine, or remove exactly what an installation made.
# Usage: PREFIX=/usr/local [DESTDIR=] packaging/install.sh install|uninstall
#
# An environment of its own in PREFIX/lib/bpftape/venv, and links to what others look for elsewhere below PREFIX: its three commands, their
# manual pages, and what completes them in bash, zsh and fish. venv/links lists those by their paths, which are the same in both places.
# PREFIX/lib/bpftape/made lists the folders that had to be made. With DESTDIR all of it goes below that folder and will work once it lies in PREFIX.
set -eu
umask 022
source=$(cd "$(dirname "$0")/.." && pwd)
commands="record analyze bpftape"
DESTDIR=${DESTDIR:-}
home=$PREFIX/lib/bpftape
stage=$DESTDIR$home

fail() {
    code=$1
    shift
    printf '%s\n' "$@" >&2
    exit "$code"
}

ours() { [ "$(readlink "$DESTDIR$PREFIX/$1" 2>/dev/null)" = "$home/venv/$1" ]; } # $1: a path below PREFIX

links() { # $1: an environment; one of before there were pages lists nothing
    cat "$1/links" 2>/dev/null || printf 'bin/%s\n' $commands
}

check_foreign() { # stdin: paths below PREFIX
    while IFS= read -r path; do
        file=$DESTDIR$PREFIX/$path
        if { [ -e "$file" ] || [ -L "$file" ]; } && ! ours "$path"; then
            fail 73 "install: $file is there already and was not made by this installation. Nothing was changed." \
                "install: move it away, or choose another place: make install PREFIX=/opt/bpftape"
        fi
    done
}

check_writable() {
    for folder in "$stage" "$DESTDIR$PREFIX/bin" "$DESTDIR$PREFIX/share"; do
        while [ ! -e "$folder" ]; do folder=$(dirname "$folder"); done
        [ -w "$folder" ] || fail 77 "$1: $folder is not writable for $(id -un). Type: sudo make $1"
    done
}

make_links() { # $1: an environment
    links "$1" | while IFS= read -r path; do make_folder "$(dirname "$DESTDIR$PREFIX/$path")"; done
    cat "$made" >"$stage/made"
    links "$1" | while IFS= read -r path; do ln -sf "$home/venv/$path" "$DESTDIR$PREFIX/$path"; done
}

remove_links() { # $1: an environment; those that are links of $2, another, too, stay
    links "$1" | while IFS= read -r path; do
        if ours "$path" && ! { [ -n "${2:-}" ] && links "$2" | grep -qxF "$path"; }; then rm "$DESTDIR$PREFIX/$path"; fi
    done
}

# Make a folder and its missing parents, and remember those, the outermost first.
make_folder() {
    [ -d "$1" ] && return
    make_folder "$(dirname "$1")"
    mkdir "$1"
    printf '%s\n' "$1" >>"$made"
}

remove_made_folders() { # $1: the list; only folders that are empty by now go
    sort -r "$1" | while IFS= read -r folder; do
        rmdir "$folder" 2>/dev/null || true
    done
}

undo() {
    if [ -d "$stage/venv.before" ]; then
        remove_links "$stage/venv" "$stage/venv.before"
        rm -rf "$stage/venv"
        mv "$stage/venv.before" "$stage/venv"
        make_links "$stage/venv"
    else
        remove_links "$stage/venv"
        rm -rf "$stage/venv"
        rm -f "$stage/made"
    fi
    remove_made_folders "$made"
    rm -f "$made"
    echo "install: failed; everything is as it was before." >&2
}

relocate() {
    grep -rlIF "$stage" "$stage/venv/bin" "$stage/venv/pyvenv.cfg" | while IFS= read -r file; do
        sed -i "s|$stage|$home|g" "$file"
    done
}

install() {
    printf 'bin/%s\n' $commands | check_foreign
    if [ -e "$stage" ] && [ ! -e "$stage/made" ]; then
        fail 73 "install: $stage is there already and was not made by this installation. Nothing was changed."
    fi
    check_writable install
    if [ -z "$DESTDIR" ]; then "$source/packaging/system-packages.sh" run; fi
    python=$("$source/packaging/python.sh")
    made=$(mktemp)
    trap undo EXIT
    trap 'exit 130' INT TERM HUP
    if [ -e "$stage/made" ]; then cat "$stage/made" >"$made"; fi
    make_folder "$stage"
    rm -rf "$stage/venv.before"
    if [ -d "$stage/venv" ]; then mv "$stage/venv" "$stage/venv.before"; fi
    cat "$made" >"$stage/made"

    echo "install: making $stage/venv from $python" >&2
    "$python" -I -m venv "$stage/venv"
    "$stage/venv/bin/python" -m pip install -qq --disable-pip-version-check "$source[share,charts]"
    mkdir -p -m 700 "$stage/venv/var/cache/bpftape" # compiled programs; see recorder/cache.py
    printf 'bin/%s\n' $commands >"$stage/venv/links"
    "$source/packaging/describe.sh" "$stage/venv" "$stage/venv" >>"$stage/venv/links"
    if [ -n "$DESTDIR" ]; then relocate; fi
    links "$stage/venv" | check_foreign
    make_links "$stage/venv"
    if [ -d "$stage/venv.before" ]; then remove_links "$stage/venv.before" "$stage/venv"; fi

    trap - EXIT
    rm -rf "$stage/venv.before" "$made"
    echo "install: record, analyze and bpftape are in $PREFIX/bin. Next: sudo record --duration 60" >&2
}

uninstall() {
    [ -e "$stage/made" ] || fail 1 "uninstall: there is no installation in $stage"
    check_writable uninstall
    for environment in "$stage/venv" "$stage/venv.before"; do remove_links "$environment"; done
    made=$(mktemp)
    cat "$stage/made" >"$made"
    rm -rf "$stage/venv" "$stage/venv.before" "$stage/made"
    remove_made_folders "$made"
    rmdir "$stage" 2>/dev/null || true
    rm "$made"
    echo "uninstall: done" >&2
}

case $PREFIX in
    /*) ;;
    *) fail 2 "$1: PREFIX must be an absolute path, not $PREFIX" ;;
esac
case $1 in
    install) install ;;
    uninstall) uninstall ;;
    *) fail 2 "usage: PREFIX=/usr/local packaging/install.sh install|uninstall" ;;
esac
