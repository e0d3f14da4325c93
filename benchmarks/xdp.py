"""What dropping costs a packet, against a program that does nothing else and against xdp-filter; and whether a flood is counted to the packet.

All packets are in the kernel's test-run of programs, or between two net namespaces made here.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recorder import bpf_call, drops
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compilations import declarations, kernel_flags
from recorder.compiler import compile_source
from recorder.session import Options
from recorder.tracers import xdp

HERE = Path(__file__).parent
RECORD = Path(sys.executable).parent / "record"

REPEAT, ROUNDS = 500_000, 61
FLOOD = 2_000_000

_ETHERNET = bytes.fromhex("ffffffffffff0200000000010800")


def _ipv4(protocol: int, payload: bytes) -> bytes:
    """Return a frame from 10.1.2.3 to 10.9.0.1; nobody looks at its checksums."""
    header = bytes([0x45, 0]) + (20 + len(payload)).to_bytes(2, "big") + bytes([0, 1, 0, 0, 64, protocol, 0, 0, 10, 1, 2, 3, 10, 9, 0, 1])
    return _ETHERNET + header + payload


PING = _ipv4(1, bytes([8, 0]) + bytes(62))
HTTPS = _ipv4(6, (40_000).to_bytes(2, "big") + (443).to_bytes(2, "big") + bytes([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2]) + bytes(6))
WEB = _ipv4(6, (40_000).to_bytes(2, "big") + (8080).to_bytes(2, "big") + bytes([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2]) + bytes(6))

EIGHT = (
    "icmp",
    "icmp6",
    "udp:53",
    "udp:1000-2000 from 192.168.0.0/16",
    "tcp:22",
    "tcp:5432 from 10.0.0.0/8",
    "tcp:6000-6999 to 10.9.0.0/16",
    "tcp:443",
)

Runner = Callable[[int], int]
"""Runs a program so many times; returns the mean, ns."""


@contextmanager
def _ours(*rules: str) -> Iterator[BpfProgram]:
    btf = Btf.of_running_kernel()
    parsed = [drops.parse_one(f"{rule}@x")[0] for rule in rules]
    flags = [*kernel_flags(btf, Options(Path(), ())), "-DBENCHMARK", *xdp.flags(parsed)]
    program = BpfProgram("xdp.c", compile_source("xdp.c", declarations(btf), flags))
    try:
        yield program
    finally:
        program.close()


def _command(*words: object, check: bool = True) -> str:
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr or done.stdout}")
    return done.stdout


@contextmanager
def _cable() -> Iterator[tuple[str, str]]:
    """Make two net namespaces with a cable between them, ``left`` and ``right``; give out their names."""
    names = f"bpftape-bench-{os.getpid()}-l", f"bpftape-bench-{os.getpid()}-r"
    try:
        for name in names:
            _command("ip", "netns", "add", name)
            _command("ip", "netns", "exec", name, "/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
        _command("ip", "-n", names[0], "link", "add", "left", "type", "veth", "peer", "name", "right", "netns", names[1])
        for name, link in zip(names, ("left", "right"), strict=True):
            _command("ip", "-n", name, "link", "set", link, "up")
        yield names
    finally:
        for name in names:
            _command("ip", "netns", "del", name, check=False)


# What xdp-filter pins lies in a file system that it does not mount by itself, and that ends with this shell.
_XDP_FILTER = """
mount -t bpf bpf /sys/fs/bpf
xdp-filter load -f tcp,ipv4 right
xdp-filter port 443 -m dst -p tcp
echo ready
read _
xdp-filter unload --all
"""


@contextmanager
def _xdp_filter() -> Iterator[int]:
    """Have xdp-filter drop TCP port 443 on an interface of its own; give out a descriptor of its program.

    Raise RuntimeError, with its last words, where it does not run.
    """
    with _cable() as (_, name):
        words = ["nsenter", f"--net=/run/netns/{name}", "unshare", "--mount", "/bin/sh", "-ec", _XDP_FILTER]
        environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        settings: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(words, env=environment, **settings) as shell:
            assert shell.stdout
            said = ""
            for line in shell.stdout:
                if line == "ready\n":
                    break
                said = line
            else:
                raise RuntimeError(said.strip())
            (link,) = json.loads(_command("ip", "-n", name, "-j", "-d", "link", "show", "dev", "right"))
            fd = bpf_call.open_program(link["xdp"]["prog"]["id"])
            try:
                yield fd
            finally:
                os.close(fd)
                shell.communicate("\n")


def _on(loaded: int | BpfProgram, frame: bytes, verdict: int, function: str = xdp.FUNCTION) -> Runner:
    """Return what runs a program on ``frame``, which it must answer with ``verdict`` (linux/bpf.h: 1 drop, 2 pass)."""
    fd = loaded if isinstance(loaded, int) else loaded.load(function, bpf_call.XDP)

    def run(repeat: int) -> int:
        found, mean_ns = bpf_call.run_xdp(fd, frame, repeat)
        if found != verdict:
            raise RuntimeError(f"verdict {found} in place of {verdict}")
        return mean_ns

    return run


def packets() -> dict[str, Any]:
    """Measure all programs in alternation, by the kernel's own clock."""
    absent = ""
    with _ours("icmp") as icmp, _ours(*EIGHT) as eight, _ours("tcp:443") as port:
        runners = {
            "bare": _on(icmp, PING, 1, "drop_everything"),
            "icmp, dropped": _on(icmp, PING, 1),
            "icmp, passed": _on(icmp, HTTPS, 2),
            "8 rules, dropped by the last": _on(eight, HTTPS, 1),
            "8 rules, passed": _on(eight, WEB, 2),
            "tcp:443, dropped": _on(port, HTTPS, 1),
            "tcp:443, passed": _on(port, WEB, 2),
        }
        try:
            with _xdp_filter() as fd:
                runners["xdp-filter tcp port 443, dropped"] = _on(fd, HTTPS, 1)
                runners["xdp-filter tcp port 443, passed"] = _on(fd, WEB, 2)
                runs = _in_turns(runners)
        except RuntimeError as error:
            absent = str(error)
            runs = _in_turns({name: runner for name, runner in runners.items() if "xdp-filter" not in name})
    return {
        "ns_a_packet": {name: statistics.median(values) for name, values in runs.items()},
        "icmp_more_ns": statistics.median(icmp - bare for icmp, bare in zip(runs["icmp, dropped"], runs["bare"], strict=True)),
        "runs": runs,
        "absent": absent,
    }


def _in_turns(runners: dict[str, Runner]) -> dict[str, list[int]]:
    runs: dict[str, list[int]] = {name: [] for name in runners}
    for runner in runners.values():
        runner(REPEAT // 10)
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            runs[name].append(runner(REPEAT))
    return runs


def _rows(recording: Path, table: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (recording / "manifest.jsonl").read_text().splitlines()[1:]]
    found = [pq.read_table(recording / line["path"]) for line in lines if line["table"] == table]
    rows: list[dict[str, Any]] = pa.concat_tables(found).to_pylist() if found else []
    return rows


def flood(folder: Path) -> dict[str, Any]:
    """Send a bounded flood of pings across a cable, as fast as one thread can, and hold what was counted against what the interface sent."""
    binary, recording = folder / "xdp_flood", folder / "flood.bpftape"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(HERE / "xdp_flood.c")], check=True)
    with _cable() as (left, right):
        words = ["ip", "netns", "exec", right, str(RECORD), "--tracers", "xdp", "--drop", "icmp@right", "--output", str(recording)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as recorder:
            assert recorder.stderr
            while "recording " not in (line := recorder.stderr.readline()):
                if not line:
                    raise RuntimeError("the recorder ended before it was ready")
            before = _sent(left)
            took_ns = int(_command("ip", "netns", "exec", left, binary, "left", FLOOD, PING.hex()))
            after = _sent(left)
            time.sleep(0.5)
            recorder.terminate()
            recorder.communicate()
    dropped = _rows(recording, "xdp_drop")
    return {
        "sent": after - before,
        "dropped": sum(row["packets"] for row in dropped),
        "bytes": sum(row["bytes"] for row in dropped),
        "samples": len(dropped),
        "seconds": took_ns / 1e9,
        "packets_a_second": FLOOD / took_ns * 1e9,
        "mode": dropped[0]["mode"],
    }


def _sent(name: str) -> int:
    (link,) = json.loads(_command("ip", "-n", name, "-j", "-s", "link", "show", "dev", "left"))
    sent: int = link["stats64"]["tx"]["packets"]
    return sent


def measure() -> dict[str, Any]:
    """Return the figures of both."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".run-") as name:
        return {"packets": packets(), "flood": flood(Path(name))}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
