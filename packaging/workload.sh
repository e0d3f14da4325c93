#!/bin/sh
# A small real workload for the demo: processes long and short, alone and in pipelines, a pool of threads, failures, a kill (by timeout);
# TCP connects on loopback, and the same in a container of its own where that may be made. Takes some five seconds and leaves nothing behind.
set -u

python=${1:-python3}

long_lived() {
    sleep 5 &
    sleeper=$!
    "$python" -c 'import threading, time; [threading.Thread(target=time.sleep, args=(4,)).start() for _ in range(7)]' &
    threads=$!
    "$python" packaging/connects.py &
    connects=$!
    # What every container runtime does in the end: namespaces of its own, a host name, a process.
    unshare --pid --fork --uts --net --mount-proc "$python" packaging/connects.py demo-container &
    container=$!
}

round() {
    find /usr/share -name '*.txt' | sort | gzip | wc -c
    ls / | head -n 3
    sh -c 'sh -c "date; exit 3"'
    grep -q nothing-like-this /etc/hostname
    cat /does/not/exist
    timeout 1 sleep 30
}

long_lived
for _ in 1 2 3; do round; done
wait "$sleeper" "$threads" "$connects" "$container"
