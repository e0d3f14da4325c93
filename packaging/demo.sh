#!/bin/sh
# Show what bpftape does: record this machine for ten seconds and print reports of it. Where recording is not possible,
# say why and analyze the canned recording.
# Usage: demo.sh [RECORDING]
set -eu
cd "$(dirname "$0")/.."

bin=.venv/bin
recording=${1:-demo.bpftape}
recorder=''
folder=$(mktemp -d)
# Only what this script started is ended, and only if it is still there.
trap 'rm -rf "$folder"; if [ -n "$recorder" ]; then kill "$recorder" 2>/dev/null || true; fi' EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

record() {
    mkfifo "$folder/messages"
    $bin/record --duration 10 --force --output "$recording" 2>"$folder/messages" &
    recorder=$!
    while IFS= read -r line; do
        printf '%s\n' "$line" >&2
        case $line in
            # Every probe is attached: what happens from now on is recorded.
            "recording "*) packaging/workload.sh "$bin/python" >/dev/null 2>&1 & ;;
        esac
    done <"$folder/messages"
    status=0
    wait "$recorder" || status=$?
    recorder=''
    return "$status"
}

say "\$ $bin/record --duration 10 --output $recording"
status=0
record || status=$?
case $status in
    0) ;;
    70 | 77)
        recording=fixtures/demo.bpftape
        say "This machine was not recorded, for the reason above. What follows is from a recording made elsewhere, $recording."
        if [ "$status" = 77 ]; then echo "To record this machine: sudo make demo"; else echo "To see what is missing: $bin/bpftape doctor"; fi
        ;;
    *) exit "$status" ;;
esac

for report in overview process_tree tcp_connects container_connects; do
    say "\$ $bin/analyze $report $recording"
    $bin/analyze "$report" "$recording"
done

say "Next"
cat <<NEXT
  $bin/analyze --list                        what else can be asked
  $bin/analyze service_map $recording  which process talked to which
  $bin/analyze processes $recording    each process, its parent, its life and how it ended
  $bin/analyze --sql 'SELECT comm, count(*) AS n FROM exec GROUP BY comm ORDER BY n DESC' $recording
NEXT
