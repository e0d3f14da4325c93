"""Four questions about 10,000,000 connects: what `analyze` takes for them, against DuckDB without it, and against its peers with the same answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer.recording import open_recordings
from analyzer.sandbox import open_sandbox
from analyzer.trust import assess
from benchmarks import report_rows
from benchmarks.report_peers import ENGINES, QUESTIONS

HERE = Path(__file__).parent
PEERS = tuple(name for name in ENGINES if name not in ("analyze", "duckdb"))
ROUNDS = 7
# It loads for minutes and then answers for minutes: once is enough.
_ONCE = ("sqlite",)
# Quantiles lie between two latencies; DataFusion places them there to a millionth of the way.
_TOLERANCE = 1e-5
_CHECKS = 41

Run = dict[str, Any]


def measure() -> dict[str, Any]:
    """Write the recording and let each engine answer in turn, in a process of its own; return the best times, ratios and memory."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".run-") as temporary:
        recording = Path(temporary) / "recording.bpftape"
        size = report_rows.write(recording)
        print(f"  {report_rows.ROWS:,} rows: {size:,} bytes", flush=True)
        checks_ms = _checks_ms(recording)
        runs, did_not_run = _runs(recording)
    seconds, cpu_s = (
        {name: {question: min(run["questions"][question][unit] for run in found) for question in QUESTIONS} for name, found in runs.items()}
        for unit in ("seconds", "cpu_s")
    )
    _show(seconds)
    ours = seconds["analyze"]
    return {
        "rows": report_rows.ROWS,
        "bytes": size,
        "seconds": seconds,
        "cpu_s": cpu_s,
        "analyze_as_a_multiple_of_duckdb": {question: round(ours[question] / seconds["duckdb"][question], 3) for question in QUESTIONS},
        "peers_as_a_multiple_of_analyze": {
            name: {question: round(seconds[name][question] / ours[question], 2) for question in QUESTIONS} for name in PEERS if name in seconds
        },
        "geometric_mean_s": {name: statistics.geometric_mean(found.values()) for name, found in seconds.items()},
        "peak_mb": {name: round(max(run["peak_bytes"] for run in found) / 1e6) for name, found in runs.items()},
        "ready_s": {name: round(statistics.median(run["ready_s"] for run in found), 3) for name, found in runs.items()},
        "checks_ms": checks_ms,
        "did_not_run": did_not_run,
    }


def _runs(recording: Path) -> tuple[dict[str, list[Run]], dict[str, str]]:
    """Return the runs of each engine and why others did not run. An answer that is not DuckDB's ends the benchmark."""
    runs: dict[str, list[Run]] = {}
    reasons: dict[str, str] = {}
    truth: dict[str, Any] = {}
    names = list(ENGINES)
    for number in range(ROUNDS):
        for name in names[number % len(names) :] + names[: number % len(names)]:  # nobody always comes after the same other
            if name in reasons or (name in _ONCE and name in runs):
                continue
            command = [sys.executable, "-m", "benchmarks.report_peers", name, str(recording)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, check=False)
            if done.returncode and name not in PEERS:
                raise SystemExit(f"{name} does not run: {done.stderr}")
            if done.returncode:
                reasons[name] = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
                print(f"  {name} does not run: {reasons[name]}", flush=True)
                continue
            run: Run = json.loads(done.stdout)
            for question, found in run["questions"].items():
                answer = found.pop("answer")
                if not _same(answer, truth.setdefault(question, answer)):
                    raise SystemExit(f"{name} has another answer to {question} than the engine before it")
            runs.setdefault(name, []).append(run)
    return runs, reasons


def _same(answer: list[list[Any]], truth: list[list[Any]]) -> bool:
    """Say whether two answers have the same rows in the same order, numbers but for rounding."""

    def alike(one: Any, other: Any) -> bool:
        return bool(one == other if isinstance(other, str) else abs(one - other) <= _TOLERANCE * abs(other))

    pairs = zip(answer, truth, strict=False)
    return len(answer) == len(truth) and all(len(one) == len(other) and all(map(alike, one, other)) for one, other in pairs)


def _checks_ms(recording: Path) -> float:
    """Return what opening, the sandbox, the check of the statement and that of coverage add to a connection of DuckDB, in milliseconds."""
    import duckdb

    def checked() -> None:
        with open_sandbox(open_recordings([recording])) as sandbox:
            statement = sandbox.prepare("SELECT count(*) FROM tcp_connect", "benchmark")
            assess(sandbox, statement.tables)
            sandbox.view(statement.tables)

    def bare() -> None:
        duckdb.connect().close()

    return round(statistics.median(_ms(checked) - _ms(bare) for _ in range(_CHECKS)), 1)


def _ms(what: Callable[[], None]) -> float:
    begin = time.perf_counter()
    what()
    return (time.perf_counter() - begin) * 1e3


def _show(seconds: dict[str, dict[str, float]]) -> None:
    print(f"  {'seconds':13}" + "".join(f"{name:>12}" for name in seconds))
    for question in QUESTIONS:
        print(f"  {question:13}" + "".join(f"{found[question]:12.3f}" for found in seconds.values()))
