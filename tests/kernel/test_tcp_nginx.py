"""curl and nginx, as the distribution has them: the recording agrees with nginx's own access log and with what curl measured."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.harness import PATIENCE_SECONDS, Recording, eventually, recorder
from tests.kernel.net import Namespace, assert_complete, namespace, of, only

ALONE, TOGETHER = 16, 7
PORT = 8080
PAGE_BYTES = 100_003
WORKERS = 3
CONFIGURATION = """
daemon off;
user root;
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    log_format connections '$remote_addr $remote_port $pid $connection_requests $bytes_sent $request_length $status';
    access_log {folder}/access connections;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    root {folder}/pages;
    server {{
        listen 127.0.0.1:{port};
        listen [::1]:{port};
    }}
}}
"""


@dataclass(frozen=True)
class Served:
    """One connection, as nginx logged it."""

    address: str
    port: int
    worker: int
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True)
class Fetched:
    """One connection, as curl saw it."""

    pid: int
    port: int
    connect_seconds: float


@dataclass
class Web:
    recording: Recording
    served: dict[int, Served]
    fetched: dict[int, Fetched]
    """Both by the client's port."""


@contextmanager
def nginx(place: Namespace, folder: Path) -> Iterator[Path]:
    """Run nginx with one page; give out its access log."""
    (folder / "pages").mkdir()
    (folder / "pages" / "page").write_bytes(b"x" * PAGE_BYTES)
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=PORT, workers=WORKERS))
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    words = place.inside("nginx", "-p", folder, "-e", folder / "errors", "-c", folder / "conf")
    with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL) as process:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            eventually("nginx has its workers", lambda: len(children.read_text().split()) == WORKERS)
            yield folder / "access"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


def curl(place: Namespace, urls: list[str]) -> list[Fetched]:
    """Fetch each URL on a connection of its own, all by one process."""
    words = ["curl", "--silent", "--show-error", "--header", "Connection: close", "--write-out", "%{local_port} %{time_connect} %{size_download}\n"]
    words += [word for url in urls for word in ("--output", "/dev/null", url)]
    with subprocess.Popen(place.inside(*words), stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    lines = [line.split() for line in output.splitlines()]
    assert [size for _, _, size in lines] == [str(PAGE_BYTES)] * len(urls)
    return [Fetched(process.pid, int(port), float(seconds)) for port, seconds, _ in lines]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    folder = tmp_path_factory.mktemp("web")
    urls = [f"http://{host}:{PORT}/page" for host in ("127.0.0.1", "[::1]")]
    with namespace() as place, nginx(place, folder) as log, recorder(folder / "r.bpftape", "--tracers", "tcp") as running:
        fetched = [connection for number in range(ALONE) for connection in curl(place, [urls[number % 2]])]
        fetched += curl(place, [urls[0]] * TOGETHER)
        eventually("all is logged", lambda: len(log.read_text().splitlines()) == ALONE + TOGETHER)
        recording = running.stop()
    served = {}
    for line in log.read_text().splitlines():
        address, port, worker, requests, sent, received, status = line.split()
        assert (requests, status) == ("1", "200")
        served[int(port)] = Served(address, int(port), int(worker), int(sent), int(received))
    return Web(recording, served, {connection.port: connection for connection in fetched})


def test_each_request_is_one_connect_of_its_curl(web: Web) -> None:
    rows = of(web.recording, "tcp_connect", dport=PORT)
    assert len(rows) == len(web.served) == ALONE + TOGETHER
    assert {row["sport"]: (row["pid"], row["comm"]) for row in rows} == {port: (one.pid, "curl") for port, one in web.fetched.items()}
    assert {row["sport"]: row["saddr"] for row in rows} == {port: served.address for port, served in web.served.items()}
    assert {(row["outcome"], row["errno"]) for row in rows} == {("connected", 0)}
    assert Counter(Counter(row["pid"] for row in rows).values()) == {1: ALONE, TOGETHER: 1}
    assert_complete(web.recording)


def test_latency_is_within_what_curl_measured(web: Web) -> None:
    for row in of(web.recording, "tcp_connect", dport=PORT):
        # curl counts from before it looked the name up until it saw that it was connected, in whole microseconds.
        assert 0 < row["latency_ns"] <= web.fetched[row["sport"]].connect_seconds * 1e9 + 1_000


def test_each_request_is_one_accept_of_the_worker_that_logged_it(web: Web) -> None:
    rows = of(web.recording, "tcp_accept", sport=PORT)
    assert {row["dport"]: (row["pid"], row["daddr"], row["comm"]) for row in rows} == {
        port: (served.worker, served.address, "nginx") for port, served in web.served.items()
    }
    assert len(rows) == ALONE + TOGETHER


def test_each_connection_ends_with_the_bytes_that_nginx_logged(web: Web) -> None:
    inbound = {row["dport"]: row for row in of(web.recording, "tcp_close", sport=PORT)}
    outbound = {row["sport"]: row for row in of(web.recording, "tcp_close", dport=PORT)}
    assert {port: (row["pid"], row["direction"], row["bytes_sent"], row["bytes_received"]) for port, row in inbound.items()} == {
        port: (served.worker, "inbound", served.bytes_sent, served.bytes_received) for port, served in web.served.items()
    }
    assert {port: (row["pid"], row["direction"], row["bytes_received"], row["bytes_sent"]) for port, row in outbound.items()} == {
        port: (web.fetched[port].pid, "outbound", served.bytes_sent, served.bytes_received) for port, served in web.served.items()
    }
    assert len(of(web.recording, "tcp_close")) >= 2 * (ALONE + TOGETHER)


def test_the_listeners_of_nginx_were_there_before(web: Web) -> None:
    rows = of(web.recording, "tcp_socket", sport=PORT, comm="nginx")
    assert sorted((row["state"], row["saddr"], row["family"]) for row in rows) == [("listen", "127.0.0.1", 4), ("listen", "::1", 6)]
    assert only(of(web.recording, "tcp_socket", sport=PORT, saddr="::1"))["direction"] is None
