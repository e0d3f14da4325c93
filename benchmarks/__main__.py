"""Run the benchmarks, say how each goal was met, and keep the results with the machine that made them.

usage: python -m benchmarks [NAME...]      names: throughput, cpu, size, analyze, tcp, xdp, share, reports, integrity, merge; all without one
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import integrity, merge, reports, share, size, startup, tcp, xdp

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"

SECONDS = 10.0
OUR_RATES = (1_000_000, 1_500_000, 2_000_000, 2_500_000, 0)  # 0: as fast as one core can
CALLBACK_RATES = (50_000, 100_000, 125_000, 150_000, 175_000, 200_000)
TRIES = 3


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured figure against what was asked for."""

    name: str
    figure: float
    unit: str
    asked: str
    met: bool


def consume(kind: str, rate: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure one consumer at one rate in a process of its own, writing to the disk that this folder is on."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".run-") as folder:
        command = [sys.executable, "-m", "benchmarks.consume", kind, str(rate), str(seconds), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent)
    figures: dict[str, Any] = json.loads(done.stdout)
    offered = figures["made"] / figures["seconds"]
    share = figures["lost"] / max(figures["made"], 1)
    print(f"  {kind:9} asked {rate:>9,}/s  made {offered:>11,.0f}/s  lost {share:7.3%}  {figures['cpu_s'] / figures['rows'] * 1e6:.2f} us CPU/event")
    return figures | {"rate": rate, "offered": offered}


def _highest(kind: str, rates: tuple[int, ...]) -> tuple[float, list[dict[str, Any]]]:
    """Return the highest rate that was really offered and lost nothing, and all runs. A rate gets more than one try: machines are shared."""
    runs: list[dict[str, Any]] = []
    for rate in rates:
        for _ in range(TRIES):
            runs.append(consume(kind, rate))
            if not runs[-1]["lost"]:
                break
        if runs[-1]["lost"]:
            break
    return max((run["offered"] for run in runs if not run["lost"]), default=0.0), runs


def throughput() -> tuple[list[Goal], Any]:
    """Find the highest rates without loss, ours and that of BCC's Python callback."""
    our_rate, our_runs = _highest("ours", OUR_RATES)
    their_rate, their_runs = _highest("callback", CALLBACK_RATES)
    peak = max(run["peak_rss_anon_bytes"] for run in our_runs) / 1e6
    ratio = our_rate / their_rate if their_rate else float("inf")
    unaccounted = sum(abs(run["events"] - run["rows"]) for run in our_runs)
    return [
        Goal("highest rate with 0 lost over 10 s", round(our_rate), "events/s", ">= 1,500,000", our_rate >= 1_500_000 * 0.995),
        Goal("... as a multiple of BCC's Python callback", round(ratio, 1), "times", ">= 12", ratio >= 12),
        Goal("RssAnon throughout", round(peak), "MB", "<= 300", peak <= 300),
        Goal("records that are neither a row nor counted as lost", unaccounted, "records", "0", unaccounted == 0),
    ], [*our_runs, *their_runs]


def cpu() -> tuple[list[Goal], Any]:
    """Compare the CPU time an event costs at 100,000 events/s, in alternation."""
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "callback": []}
    for _ in range(TRIES):
        for kind, kept in runs.items():
            kept.append(consume(kind, 100_000))
    ours, theirs = (sorted(run["cpu_s"] / run["rows"] * 1e6 for run in kept)[TRIES // 2] for kept in runs.values())
    return [
        Goal("CPU an event at 100,000/s", round(ours, 2), "us", "median of three", True),
        Goal("... of BCC's Python callback", round(theirs, 2), "us", "median of three", True),
        Goal("... ratio", round(ours / theirs, 3), "times", "<= 0.1", ours / theirs <= 0.1),
    ], runs


def _size() -> tuple[list[Goal], Any]:
    figures = size.measure()
    return [Goal("10,000,000 realistic rows on disk", figures["bytes_a_row"], "bytes a row", "<= 20", figures["bytes_a_row"] <= 20)], figures


def _analyze() -> tuple[list[Goal], Any]:
    figures = startup.measure()
    return [
        Goal("analyze on the fixture, against Python with typer and duckdb", figures["ratio"], "times", "<= 1.4", figures["ratio"] <= 1.4)
    ], figures


def _tcp() -> tuple[list[Goal], Any]:
    figures = tcp.measure()
    truth, slowdown, unrelated = figures["truth"], figures["slowdown"], figures["unrelated"]
    latency = truth["latency"]
    explained = (latency["before_syn_ns"] + latency["latency_ns"] + latency["after_established_ns"]) / latency["client_ns"]
    slower = slowdown["times"]["record"]
    others = [
        Goal(f"... under {name}", round(times, 2), "times", "for comparison", True)
        for name, times in slowdown["times"].items()
        if name not in ("alone", "record")
    ]
    bare_ns = truth["bare_bpf_ns_a_connection"]
    return [
        Goal("tcp_connect rows of 20,000 connects by 8 processes", truth["rows"], "rows", "20,000", truth["rows"] == truth["made"] == 20_000),
        Goal("... lost, or with a wrong pid or port", truth["lost"] + truth["wrong"], "rows", "0", truth["lost"] + truth["wrong"] == 0),
        Goal("... median latency_ns", round(latency["latency_ns"]), "ns", "", True),
        Goal("... median of the whole call, by the client's clock", round(latency["client_ns"]), "ns", "", True),
        Goal("... before SYN + latency_ns + after ESTABLISHED, of that", round(explained, 3), "times", "0.9 to 1.1", 0.9 <= explained <= 1.1),
        Goal("BPF time of a connect, an accept and both closes", round(bare_ns), "ns", "<= 3,500", bare_ns <= 3_500),
        Goal("nginx, a connection a request, with record --tracers tcp", round(slower, 3), "times", "<= 1.05", slower <= 1.05),
        *others,
        Goal("a system call that has nothing to do with TCP, alone", round(unrelated["ns_a_call"]["alone"], 1), "ns", "", True),
        Goal("... with record --tracers tcp", round(unrelated["ns_a_call"]["record"], 1), "ns", "", True),
    ], figures


def _xdp() -> tuple[list[Goal], Any]:
    figures = xdp.measure()
    packets, flood = figures["packets"], figures["flood"]
    ns = packets["ns_a_packet"]
    more_ns = packets["icmp_more_ns"]
    exact = flood["sent"] == flood["dropped"] == xdp.FLOOD
    return [
        Goal("a packet through a program that drops everything", ns["bare"], "ns", "", True),
        Goal("... dropped by the rule icmp", ns["icmp, dropped"], "ns", "", True),
        Goal("... that is, more than everything dropped", more_ns, "ns", "<= 15", more_ns <= 15),
        *(Goal(f"... {name}", ns[name], "ns", "for comparison", True) for name in ns if name not in ("bare", "icmp, dropped")),
        Goal("packets of a flood of 2,000,000 that were counted as dropped", flood["dropped"], "packets", "2,000,000", exact),
        Goal("... a second, one thread sends them over veth", round(flood["packets_a_second"]), "packets/s", "", True),
    ], figures


def _share() -> tuple[list[Goal], Any]:
    figures = share.measure()
    speed, peak = figures["rows_a_second"], max(run["peak_bytes"] for run in (*figures["runs"], *figures["others"], *figures["distinct"])) / 1e6
    minimal, _, small = figures["others"]
    few, many = (run["rows_a_second"] for run in figures["distinct"])
    return [
        Goal("bpftape share, 10,000,000 rows, leak check included", round(speed), "rows/s", ">= 1,000,000", speed >= 1_000_000),
        Goal(
            "... with arguments kept and masked (--policy minimal)",
            round(minimal["rows_a_second"]),
            "rows/s",
            ">= 1,000,000",
            minimal["rows_a_second"] >= 1_000_000,
        ),
        Goal(f"... {share.DISTINCT_ROWS[1]:,} rows with a name each", round(many), "rows/s", "for comparison", True),
        Goal(f"... {share.DISTINCT_ROWS[0]:,} of them", round(few), "rows/s", "for comparison", True),
        Goal("... peak memory, under any policy", round(peak), "MB", "<= 1,000", peak <= 1_000),
        Goal("... of 2,000,000 rows", round(small["peak_bytes"] / 1e6), "MB", "for comparison", True),
    ], figures


def _merge() -> tuple[list[Goal], Any]:
    figures = merge.measure()
    large = {how: [run for run in figures["runs"] if run["how"] == how and run["rows"] >= merge.ROWS] for how in ("linked", "copied")}
    linked, copied = (sorted(run["rows_a_second"] for run in runs)[len(runs) // 2] for runs in large.values())
    peak, small = (max(run["peak_bytes"] for run in figures["runs"] if (run["rows"] >= merge.ROWS) is is_large) / 1e6 for is_large in (True, False))
    return [
        Goal("bpftape merge of two hosts, 10,000,000 rows, by hard links", round(linked), "rows/s", ">= 1,000,000", linked >= 1_000_000),
        Goal("... onto another file system", round(copied), "rows/s", ">= 1,000,000", copied >= 1_000_000),
        Goal("... peak memory", round(peak), "MB", "<= 1,000", peak <= 1_000),
        Goal("... of 2,000,000 rows", round(small), "MB", "for comparison", True),
    ], figures


_ASKED = {
    "talkers": "top talkers",
    "destinations": "p50 and p99 by destination",
    "rate": "connects a second",
    "programs": "connects by program",
}


def _reports() -> tuple[list[Goal], Any]:
    figures = reports.measure()
    times, means = figures["analyze_as_a_multiple_of_duckdb"], figures["geometric_mean_s"]
    fastest = min((name for name in reports.PEERS if name in means), key=means.__getitem__)
    lead = means[fastest] / means["analyze"]
    peak, checks = figures["peak_mb"]["analyze"], figures["checks_ms"]
    goals = [Goal(f"analyze, {name}, against bare DuckDB", times[key], "times", "<= 1.2", times[key] <= 1.2) for key, name in _ASKED.items()]
    goals += [
        Goal(f"... geometric mean of the four, of the fastest peer ({fastest})", round(lead, 2), "times as long", ">= 1", lead >= 1),
        Goal("... most memory", peak, "MB", "<= 1,500", peak <= 1_500),
        Goal("... the sandbox and the checks of statement and coverage", checks, "ms", "<= 30", checks <= 30),
    ]
    peers = figures["peers_as_a_multiple_of_analyze"]
    goals += [Goal(f"{name}, {_ASKED[key]}, against analyze", peers[name][key], "times", "for comparison", True) for name in peers for key in _ASKED]
    return goals, figures


def _integrity() -> tuple[list[Goal], Any]:
    figures = integrity.measure()
    shares = {name: found["verify"] / found["read"] for name, found in figures["verify"].items()}
    ratios = {name: found["ratio"] for name, found in figures["queries"].items()}
    middle = statistics.geometric_mean(ratios.values())
    disk, memory = figures["verify"]["from disk"], figures["verify"]["from memory"]
    return [
        Goal("verifying 10,000,000 rows from disk", round(disk["verify"] / 1e6), "MB/s", "", True),
        Goal("... of the speed of reading the same bytes", round(shares["from disk"], 2), "times", ">= 0.5", shares["from disk"] >= 0.5),
        Goal("... from memory", round(memory["verify"] / 1e6), "MB/s", "", True),
        Goal("... of the speed of reading the same bytes", round(shares["from memory"], 2), "times", ">= 0.5", shares["from memory"] >= 0.5),
        Goal("analyze of a packed recording, against unpacked, geometric mean", round(middle, 3), "times", "<= 1.3", middle <= 1.3),
        *(Goal(f"... {name}", ratio, "times", "<= 1.3", ratio <= 1.3) for name, ratio in ratios.items()),
        Goal("... packing the 10,000,000 rows once", round(figures["pack_s"], 2), "s", "", True),
    ], figures


BENCHMARKS: dict[str, Callable[[], tuple[list[Goal], Any]]] = {
    "throughput": throughput,
    "cpu": cpu,
    "size": _size,
    "analyze": _analyze,
    "tcp": _tcp,
    "xdp": _xdp,
    "share": _share,
    "reports": _reports,
    "integrity": _integrity,
    "merge": _merge,
}


def _machine() -> dict[str, Any]:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    versions = {name: __import__(name).__version__ for name in ("duckdb", "numpy", "pyarrow")}
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), **versions}


def _tell(kept: dict[str, Any]) -> None:
    """Write the results' table into the README beside this file."""
    lines = ["<!-- results -->", "| figure | measured | goal | met |", "|---|---|---|---|"]
    for result in kept.values():
        lines += [
            f"| {goal['name']} | {goal['figure']:,} {goal['unit']} | {goal['asked']} | {'yes' if goal['met'] else 'no'} |" for goal in result["goals"]
        ]
    machine = next(iter(kept.values()))["machine"]
    lines += ["", "Measured on: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."]
    text = README.read_text()
    before, after = text.split("<!-- results -->")[0], text.split("<!-- /results -->")[1]
    README.write_text(before + "\n".join(lines) + "\n<!-- /results -->" + after)


def main() -> None:
    """Run the benchmarks named on the command line; exit 1 when a goal is not met."""
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise SystemExit(f"unknown benchmark: {unknown[0]}. There are: {', '.join(BENCHMARKS)}")
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    goals: list[Goal] = []
    for name in names:
        print(f"{name}:", flush=True)
        met, figures = BENCHMARKS[name]()
        goals += met
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kept[name] = {"at": stamp, "machine": _machine(), "goals": [asdict(goal) for goal in met], "figures": figures}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        _tell(kept)
    print()
    for goal in goals:
        print(f"{'met   ' if goal.met else 'MISSED'}  {goal.name}: {goal.figure:,} {goal.unit}  {goal.asked}")
    raise SystemExit(0 if all(goal.met for goal in goals) else 1)


if __name__ == "__main__":
    main()
