"""What recording TCP costs, and whether it is true: the tcp tracer under load, against peers' own counts and other tools.

Everything stays on loopback.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
RECORD = Path(sys.executable).parent / "record"

PROCESSES, CONNECTS = 8, 2_500
REQUESTS, ROUNDS = 4_000, 11
CALLS = 3_000_000

_NGINX = """
worker_processes 1;
daemon off;
master_process off;
error_log stderr;
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
    keepalive_timeout 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; return 200 "ok\\n"; }}
}}
"""
_BPFTRACE = """
tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
    printf("%d %s %d %d %d\\n", pid, comm, args->oldstate, args->newstate, args->dport);
}
"""


def _build(folder: Path) -> str:
    binary = folder / "tcp_load"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(HERE / "tcp_load.c")], check=True)
    return str(binary)


@contextmanager
def _process(words: Sequence[str], ready: str | None = None, **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process until the block ends, by SIGINT; with ``ready``, go on when it writes a line on stderr that holds this."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE if ready else subprocess.DEVNULL, "text": True, **settings}
    with subprocess.Popen(words, **settings) as process:
        try:
            if ready:
                assert process.stderr
                line = ""
                while ready not in line:
                    line = process.stderr.readline()
                    if not line:
                        raise RuntimeError(f"{words[0]} ended before it was ready")
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


@contextmanager
def _recorder(output: Path, *options: str) -> Iterator[None]:
    with _process([str(RECORD), "--output", str(output), "--force", *options], ready="recording "):
        yield


def _rows(recording: Path, table: str) -> pa.Table:
    lines = [json.loads(line) for line in (recording / "manifest.jsonl").read_text().splitlines()[1:]]
    return pa.concat_tables([pq.read_table(recording / line["path"]) for line in lines if line["table"] == table])


def _bpf_cost(recording: Path, connections: int) -> tuple[float, float]:
    """Return (ns, runs) of the tracer's programs that a connection with both its ends took."""
    programs = [row for row in _rows(recording, "cost").to_pylist() if row["program"]]
    cost = [row for row in programs if not row["program"].startswith("bpf_iter__")]  # those run once, whatever there is to record
    return sum(row["run_time_ns"] for row in cost) / connections, sum(row["run_count"] for row in cost) / connections


def bare(folder: Path, binary: str) -> dict[str, Any]:
    """Connect, accept and close one after the other, with nothing else going on."""
    recording, count = folder / "bare.bpftape", PROCESSES * CONNECTS
    with _process([binary, "serve"]) as server, _recorder(recording, "--tracers", "tcp"):
        assert server.stdout
        subprocess.run([binary, "connect", server.stdout.readline().strip(), str(count)], check=True, stdout=subprocess.DEVNULL)
        time.sleep(1.5)  # the cost of the last second is written down at its end
    time_ns, runs = _bpf_cost(recording, count)
    return {"bare_bpf_ns_a_connection": time_ns, "bare_bpf_runs_a_connection": runs}


def truth(folder: Path, binary: str) -> dict[str, Any]:
    """Connect as fast as can be from several processes; hold the rows against what the processes say of themselves."""
    recording = folder / "truth.bpftape"
    with _process([binary, "serve"]) as server, _recorder(recording, "--tracers", "tcp"):
        assert server.stdout
        port = server.stdout.readline().strip()
        begin = time.monotonic()
        clients = [subprocess.Popen([binary, "connect", port, str(CONNECTS)], stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
        said = [client.communicate()[0].split("\n") for client in clients]
        seconds = time.monotonic() - begin
        time.sleep(1.5)
    made = {(int(lines[0]), *map(int, line.split())) for lines in said for line in lines[1:-1]}
    connects = [row for row in _rows(recording, "tcp_connect").to_pylist() if row["dport"] == int(port)]
    accepts = [row for row in _rows(recording, "tcp_accept").to_pylist() if row["sport"] == int(port)]
    coverage = _rows(recording, "coverage").to_pylist()
    time_ns, runs = _bpf_cost(recording, len(made))
    return {
        "seconds": seconds,
        "made": len(made),
        "rows": len(connects),
        "lost": sum(row["lost"] for row in coverage),
        "wrong": len({(pid, sport) for pid, sport, _, _ in made} ^ {(row["pid"], row["sport"]) for row in connects}),
        "latency": _parts(made, connects, accepts),
        "accepts": len(accepts),
        "closes": len([row for row in _rows(recording, "tcp_close").to_pylist() if int(port) in (row["sport"], row["dport"])]),
        "bpf_ns_a_connection": time_ns,
        "bpf_runs_a_connection": runs,
        **bare(folder, binary),
    }


def _parts(made: set[tuple[int, ...]], connects: list[dict[str, Any]], accepts: list[dict[str, Any]]) -> dict[str, float]:
    """Take the clients' own connects apart: medians of what came before the SYN, of the handshake, and of what the call did after it.

    A port may have been used twice: a row is of the call that it lies in. One whose SYN was not seen, since the kernel had left that out, is of none.
    """
    calls: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pid, sport, begin_ns, end_ns in made:
        calls.setdefault((pid, sport), []).append((begin_ns, end_ns))
    served = {(row["dport"], row["ts_ns"] - row["queued_ns"]) for row in accepts if row["queued_ns"]}
    by_port: dict[int, list[int]] = {}
    for port, at_ns in served:
        by_port.setdefault(port, []).append(at_ns)
    parts: dict[str, list[int]] = {"client_ns": [], "before_syn_ns": [], "latency_ns": [], "after_established_ns": [], "server_established_ns": []}
    for row in connects:
        if row["syn_ns"] is None:
            continue
        begin_ns, end_ns = next(call for call in calls[row["pid"], row["sport"]] if call[0] <= row["syn_ns"] <= call[1])
        parts["client_ns"].append(end_ns - begin_ns)
        parts["before_syn_ns"].append(row["syn_ns"] - begin_ns)
        parts["latency_ns"].append(row["latency_ns"])
        parts["after_established_ns"].append(end_ns - row["ts_ns"])
        parts["server_established_ns"] += [at_ns - row["ts_ns"] for at_ns in by_port.get(row["sport"], ()) if begin_ns <= at_ns <= end_ns]
    return {name: statistics.median(values) for name, values in parts.items()}


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(*words: str) -> float:
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def slowdown(folder: Path, binary: str) -> dict[str, Any]:
    """Compare one HTTP request a connection with and without recording, and under other tools, in alternation."""
    port = _free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    request = (binary, "request", str(port), str(REQUESTS))
    watched: dict[str, list[float]] = {"alone": [], "record": [], "record, all tracers": []}
    others = {"bpftrace": ["bpftrace", "-e", _BPFTRACE], "tcpconnect": ["tcpconnect-bpfcc"]}
    absent: dict[str, str] = {}
    with _process(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL) as nginx:
        time.sleep(0.5)
        _run(*request)
        for _ in range(ROUNDS):
            watched["alone"].append(_run(*request))
            with _recorder(folder / "nginx.bpftape", "--tracers", "tcp"):
                watched["record"].append(_run(*request))
            watched["alone"].append(_run(*request))
            with _recorder(folder / "nginx.bpftape"):
                watched["record, all tracers"].append(_run(*request))
        for name, words in others.items():
            with open(folder / f"{name}.out", "w") as out, _process(words, stdout=out, stderr=subprocess.STDOUT) as tool:
                time.sleep(8)
                if tool.poll() is not None:
                    absent[name] = (folder / f"{name}.out").read_text().strip().split("\n")[-1]
                    continue
                watched[name] = [_run(*request) for _ in range(3)]
        with _process(["strace", "-f", "-e", "trace=network", "-o", str(folder / "strace.out"), "-p", str(nginx.pid)]):
            time.sleep(1)
            watched["strace -f -e trace=network"] = [
                _run("strace", "-f", "-e", "trace=network", "-o", str(folder / "client.out"), *request) for _ in range(3)
            ]
    medians = {name: statistics.median(values) for name, values in watched.items()}
    pairs = zip(watched["record"], watched["alone"][::2], strict=True)
    return {
        "ns_a_request": medians,
        "times": {name: value / medians["alone"] for name, value in medians.items()},
        "record_times_by_round": [with_it / without for with_it, without in pairs],
        "runs": watched,
        "absent": absent,
    }


def unrelated(folder: Path, binary: str) -> dict[str, Any]:
    """Measure a system call that has nothing to do with TCP, with and without recording."""
    runs: dict[str, list[float]] = {"alone": [], "record": []}
    for _ in range(5):
        runs["alone"].append(_run(binary, "getppid", str(CALLS)))
        with _recorder(folder / "unrelated.bpftape", "--tracers", "tcp"):
            runs["record"].append(_run(binary, "getppid", str(CALLS)))
    return {"ns_a_call": {name: statistics.median(values) for name, values in runs.items()}, "runs": runs}


def measure() -> dict[str, Any]:
    """Return the figures of all three."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".run-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        binary = _build(folder)
        return {"truth": truth(folder, binary), "slowdown": slowdown(folder, binary), "unrelated": unrelated(folder, binary)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
