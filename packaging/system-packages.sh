#!/bin/sh
# Install what only the distribution can provide, or say which command does. Quick when nothing is missing.
# Usage: system-packages.sh PURPOSE
#   run           what the installed commands need
#   test, bench   that, and what the tests or the benchmarks need
#   test-install  what makes a clean Debian to install into
#   vm-test       what makes and boots the virtual machines of the kernel matrix
#   guest         what there has to be inside of those, with what tests/kernel/ needs
#   podman-guest  the same of the one with real containers, which systemd boots
set -eu

# One line a need: for what, the command (or file, or module) whose presence shows it, then the packages of Debian, Fedora, Arch.
needs() {
    cat <<'NEEDS'
run|test|bench|guest|podman-guest python3 python3 python3 python
run|test|bench|guest|podman-guest venv python3-venv python3 python
run|test|bench|guest|podman-guest bcc python3-bpfcc python3-bcc python-bcc
test|bench|guest strace strace strace strace
test|bench|guest perf linux-perf perf perf
test|bench bpftool bpftool bpftool bpf
test-install|vm-test debootstrap debootstrap debootstrap debootstrap
vm-test /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring debian-keyring debian-archive-keyring
vm-test qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core qemu-system-x86
vm-test mke2fs e2fsprogs e2fsprogs e2fsprogs
vm-test depmod kmod kmod kmod
guest|podman-guest modprobe kmod kmod kmod
guest|podman-guest busybox busybox-static busybox busybox
test|bench|guest|podman-guest ip iproute2 iproute iproute2
test|bench|guest ping iputils-ping iputils iputils
test|bench|guest nft nftables nftables nftables
test|bench man man-db man-db man-db
test|bench mandoc mandoc mandoc mandoc
test|bench zsh zsh zsh zsh
test|bench fish fish fish fish
test|bench|guest curl curl curl curl
test|bench|guest nginx nginx nginx nginx
test|bench chromium chromium chromium chromium
test|bench chromedriver chromium-driver chromedriver chromium
podman-guest /sbin/init systemd-sysv systemd systemd
podman-guest dbus-daemon dbus dbus-daemon dbus
podman-guest podman podman podman podman
podman-guest crun crun crun crun
podman-guest runc runc runc runc
podman-guest catatonit catatonit catatonit catatonit
podman-guest newuidmap uidmap shadow-utils shadow
podman-guest /usr/lib/systemd/user/dbus.socket dbus-user-session dbus-daemon dbus
podman-guest /usr/lib/x86_64-linux-gnu/security/pam_systemd.so libpam-systemd systemd-pam systemd
bench cc gcc gcc gcc
bench bpftrace bpftrace bpftrace bpftrace
bench tcpconnect-bpfcc bpfcc-tools bcc-tools bcc-tools
bench xdp-filter xdp-tools xdp-tools xdp-tools
bench /usr/include/stdio.h libc6-dev glibc-devel glibc
NEEDS
}

present() {
    case $1 in
        bcc)
            for folder in /usr/lib/python3/dist-packages /usr/lib/python3*/site-packages /usr/lib64/python3*/site-packages; do
                # The BCC of the distribution has this file; the crystallography library called bcc on PyPI has not.
                if [ -e "$folder/bcc/libbcc.py" ]; then return 0; fi
            done
            return 1
            ;;
        /*) [ -e "$1" ] ;;
        venv) /usr/bin/python3 -I -c 'import ensurepip, venv' 2>/dev/null ;;
        chromium) command -v chromium >/dev/null || command -v google-chrome >/dev/null ;;
        # iproute2 and its like lie where an ordinary user's PATH does not look.
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
    esac
}

# Debian starts the servers that it installs, now and with every boot. The tests want only nginx's program.
without_services() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$@" || return
    case " $packages " in
        *" nginx "*) if [ -d /run/systemd/system ]; then systemctl disable --quiet nginx 2>/dev/null || true; fi ;;
    esac
}

missing() {
    needs | while read -r purposes thing debian fedora arch; do
        case "|$purposes|" in *"|$wanted|"*) ;; *) continue ;; esac
        case $family in
            # Ubuntu has Chromium as a snap alone, and bpftool with its kernels.
            debian) case $ID:$debian in ubuntu:chromium* | ubuntu:bpftool) continue ;; *) package=$debian ;; esac ;;
            fedora) package=$fedora ;;
            arch) package=$arch ;;
            *) package=$thing ;;
        esac
        present "$thing" || printf '%s ' "$package"
    done
}

wanted=$1
ID='' ID_LIKE=''
if [ -r /etc/os-release ]; then . /etc/os-release; fi
case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*) family=debian command="apt-get install" ;;
    *" fedora "* | *" rhel "*) family=fedora command="dnf install" ;;
    *" arch "*) family=arch command="pacman -S" ;;
    *) family=other command='' ;;
esac

packages=$(missing)
[ -n "$packages" ] || exit 0

if [ "$family" = debian ] && [ "$(id -u)" = 0 ]; then
    echo "setup: installing $packages(apt-get)" >&2
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be absent (containers) or too old, and then a fresh look helps.
    # shellcheck disable=SC2086
    if without_services apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 ||
        { apt-get update -qq >&2 && without_services apt-get install -y -qq --no-install-recommends $packages >&2; }; then
        exit 0
    fi
    echo "setup: apt-get could not install them; going on with what does not need them." >&2
elif [ -n "$command" ]; then
    echo "setup: going on without: $packages" >&2
    echo "setup: to have everything, type: sudo $command $packages" >&2
else
    echo "setup: going on without: $packages" >&2
    echo "setup: install them with your distribution's package manager; bcc is its Python package of BCC, not the bcc of PyPI." >&2
fi
