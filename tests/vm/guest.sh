#!/bin/sh
# The first process of a virtual machine of `make vm-test`: get it ready, run the kernel's tests, write what came of them to the last disk, switch off.
# What to run is in /mnt/arguments; /mnt is the disk that tests/vm/machine.py made of this repository.
export PATH=/opt/bpftape/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
export BPFTAPE_REQUIRE_KERNEL=1 BPFTAPE_TEST_PATIENCE_SECONDS=1200

if [ $$ = 1 ] && [ -e /sbin/init ]; then # a Debian with systemd is booted by that, which starts this script again
    tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
    printf '[Unit]\nWants=%s\n[Service]\nExecStart=/bin/sh %s\nStandardOutput=tty\nTTYPath=/dev/console\n' \
        'dbus.socket systemd-logind.service' /mnt/tests/vm/guest.sh >/etc/systemd/system/guest.service
    exec /sbin/init --unit=guest.service
elif [ $$ = 1 ]; then
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    mount -t tmpfs tmpfs /run
    if grep -qw bpftape.hybrid /proc/cmdline; then
        mount -t tmpfs tmpfs /sys/fs/cgroup
        mkdir /sys/fs/cgroup/unified /sys/fs/cgroup/memory
        mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
        mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory
    else
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    fi
    ln -s /proc/self/fd /dev/fd
    chmod 1777 /dev/shm
fi
ulimit -n 524288 # as systemd has it
mkdir -p /tmp/results
chmod 1777 /tmp
ip link set lo up
hostname bpftape-guest
echo "guest: $(uname -r), $(/opt/bpftape/bin/python -V)"

cd /mnt || exit
# Every Python of the environment that is to compile imports it, and so has the host do that.
modprobe virtio_console
/opt/bpftape/bin/python -IS tests/vm/far_compiler.py /dev/vport*p1 &
for place in /opt/bpftape/lib/python3*/site-packages; do
    cp tests/vm/far_compiler.py "$place"
    echo "import sys; 'recorder.compiler' in sys.orig_argv and __import__('far_compiler')" >"$place/far_compiler.pth"
done

xargs /opt/bpftape/bin/python -m pytest -o faulthandler_timeout=1500 -o junit_family=xunit1 --junit-xml=/tmp/results/junit.xml -p no:cacheprovider <arguments 2>&1 | cat # no terminal
tar -C /tmp/results -cf /dev/vdd .
sync
echo "guest: done"
busybox poweroff -f
