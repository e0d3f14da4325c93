"""``record --print``: events as lines while they come, as the classic tools show them.

Lines are for reading along. They are made on a thread of their own, behind a bounded queue: a terminal that is too slow loses lines, which
is said, and never rows of the recording.
"""

from __future__ import annotations

import bisect
import errno
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from analyzer.text import printable
from recorder.clocks import boottime_ns
from recorder.decode import Block, Decoder
from recorder.schema import NANOSECONDS
from recorder.writer import Stream

_BLOCKS = 256
_BLOCK_ROWS = 4_096
HEADER = f"{'TIME':15} {'EVENT':11} {'PID':>7} {'PPID':>7} {'UID':>6} {'COMM':16} DETAIL"

# Tables come in chunks of their own, up to a fifth of a second late: lines wait this long to be put in order.
_ORDER_NS = NANOSECONDS // 2
_LOOK_SECONDS = 0.1
_LAST_SECONDS = 5.0

Row = dict[str, Any]


def _clone(row: Row) -> str:
    return f"thread {row['child_tid']}" if row["is_thread"] else f"child {row['child_pid']}"


def _exec(row: Row) -> str:
    words = [row["filename"]] if row["argv"] is None else row["argv"]
    return " ".join(words) + (" …" if row["argv_truncated"] else "")


def _exit(row: Row) -> str:
    how = f"code {row['exit_code']}" if row["signal"] is None else f"signal {row['signal']}" + (" (core dumped)" if row["core_dumped"] else "")
    return f"{how} after {row['duration_ns'] / 1e9:.3f} s"


def _end(row: Row, address: str, port: str) -> str:
    """Return one end of a connection as URLs have it: IPv6 in brackets."""
    text = "?" if row[address] is None else row[address]
    zone = f"%{row['scope_id']}" if row["scope_id"] and row[f"{address}_scope"] == "link_local" else ""
    return (f"[{text}{zone}]" if ":" in text else text) + f":{'?' if row[port] is None else row[port]}"


def _ends(row: Row, arrow: str) -> str:
    return f"{_end(row, 'saddr', 'sport')} {arrow} {_end(row, 'daddr', 'dport')}"


def _error(number: int) -> str:
    return errno.errorcode.get(number, f"errno {number}")


def _tcp_connect(row: Row) -> str:
    result = _error(row["errno"]) if row["errno"] else row["outcome"]
    latency = "" if row["latency_ns"] is None else f" after {row['latency_ns'] / 1e6:.3f} ms"
    marks = "".join(f" {mark.removeprefix('is_')}" for mark in ("is_fastopen", "is_mptcp") if row[mark])
    return f"{_ends(row, '->')} {result}{latency}{marks}"


def _tcp_accept(row: Row) -> str:
    queued = "" if row["queued_ns"] is None else f" queued {row['queued_ns'] / 1e6:.3f} ms"
    return _ends(row, "<-") + queued + (" mptcp" if row["is_mptcp"] else "")


def _tcp_close(row: Row) -> str:
    arrow = {"outbound": "->", "inbound": "<-"}.get(row["direction"], "--")
    after = "" if row["duration_ns"] is None else f" after {row['duration_ns'] / 1e9:.3f} s"
    how = f" {_error(row['errno'])}" if row["errno"] else ""
    again = f" retransmits {row['retransmits']}" if row["retransmits"] else ""
    return f"{_ends(row, arrow)} sent {row['bytes_sent']} received {row['bytes_received']} bytes{after}{again}{how}"


def _tcp_socket(row: Row) -> str:
    if row["state"] == "listen":
        return f"{_end(row, 'saddr', 'sport')} listen"
    return f"{_ends(row, '->' if row['direction'] == 'outbound' else '<-')} {row['state']}"


def _container(row: Row) -> str:
    known = (row["name"], row["runtime"], row["container_id"] and row["container_id"][:12], row["image"])
    return " ".join([row["nodename"], *(text for text in known if text), row["cgroup_path"]])


_DETAILS: dict[str, Callable[[Row], str]] = {
    "clone": _clone,
    "exec": _exec,
    "exit": _exit,
    "tcp_connect": _tcp_connect,
    "tcp_accept": _tcp_accept,
    "tcp_close": _tcp_close,
    "tcp_socket": _tcp_socket,
    "container": _container,
}


def line(table: str, row: Row) -> str:
    """Return one row as a line without control characters."""
    time = row["ts"].strftime("%H:%M:%S.%f")
    detail = _DETAILS[table](row)
    pid, ppid, uid, comm = ("-" if row[name] is None else row[name] for name in ("pid", "ppid", "uid", "comm"))
    return printable(f"{time} {table:11} {pid:>7} {ppid:>7} {uid:>6} {comm:16} {detail}")


class Printer(threading.Thread):
    """Prints the rows of the tables that have a form as lines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(name="bpftape-print", daemon=True)
        self.dropped = 0
        self._stream = stream
        self._queue: queue.Queue[tuple[Stream, Block] | None] = queue.Queue(_BLOCKS)
        self._decoders: dict[str, Decoder] = {}
        self._broken = False

    def take(self, stream: Stream, block: Block) -> None:
        """Take a copy of ``block``; drop and count it when printing is behind."""
        if stream.table not in _DETAILS or self._broken:
            return
        for start in range(0, len(block), _BLOCK_ROWS):
            part = block[start : start + _BLOCK_ROWS]
            try:
                self._queue.put_nowait((stream, part.copy()))
            except queue.Full:
                self.dropped += len(part)

    def finish(self) -> None:
        """Print what is left, unless nobody takes it: a terminal that stands still keeps no recording from its end."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_LAST_SECONDS)
        self.join(timeout=_LAST_SECONDS)

    def run(self) -> None:
        """Run the thread."""
        self._write([HEADER])
        held: list[tuple[int, str]] = []
        running = True
        while running:
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
                running = item is not None
                held += self._lines(item) if item else []
            except queue.Empty:
                pass
            held.sort()
            ready = bisect.bisect(held, (boottime_ns() - _ORDER_NS, "")) if running else len(held)
            if ready:
                self._write([text for _, text in held[:ready]])
                del held[:ready]

    def _lines(self, item: tuple[Stream, Block]) -> list[tuple[int, str]]:
        stream, block = item
        decoder = self._decoders.get(stream.table)
        if decoder is None:
            decoder = self._decoders[stream.table] = stream.decoder.like(_BLOCK_ROWS)
        decoder.append(block)
        return [(row["ts_ns"], line(stream.table, row)) for row in decoder.flush().to_pylist()]

    def _write(self, lines: list[str]) -> None:
        if self._broken:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader has seen enough, or its disk is full; the recording goes on
            self._broken = True
