"""Events as lines, as the classic tools show them: while they come (``record --print``), and afterwards (``bpftape replay``)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from analyzer.text import printable

Row = dict[str, Any]


def header(host: str = "") -> str:
    """Return the names of what a line has; ``host`` is that of a column of hosts, as wide as these are, where there are several."""
    return f"{'TIME':15} {host}{'EVENT':11} {'PID':>7} {'PPID':>7} {'UID':>6} {'COMM':16} DETAIL"


def _clone(row: Row) -> str:
    return f"thread {row['child_tid']}" if row["is_thread"] else f"child {row['child_pid']}"


def _exec(row: Row) -> str:
    words = [row["filename"]] if row["argv"] is None else row["argv"]
    return " ".join(words) + (" …" if row["argv_truncated"] else "")


def _exit(row: Row) -> str:
    how = f"code {row['exit_code']}" if row["signal"] is None else f"signal {row['signal']}" + (" (core dumped)" if row["core_dumped"] else "")
    return f"{how} after {row['duration_ns'] / 1e9:.3f} s"


def endpoint(address: str | None, port: int | None, zone: str = "") -> str:
    """Return one end of a connection as URLs have it, IPv6 in brackets; what is not known is a question mark."""
    text = "?" if address is None else address
    return (f"[{text}{zone}]" if ":" in text else text) + f":{'?' if port is None else port}"


def _end(row: Row, address: str, port: str) -> str:
    zone = f"%{row['scope_id']}" if row["scope_id"] and row[f"{address}_scope"] == "link_local" else ""
    return endpoint(row[address], row[port], zone)


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


def _xdp_drop(row: Row) -> str:
    kind = "" if row["type"] is None else f" type {row['type']} code {row['code']}"
    return f"{row['interface']} {row['rule']}{kind}: {row['packets']} packets {row['bytes']} bytes in {row['interval_ns'] / 1e9:.3f} s"


DETAILS: dict[str, Callable[[Row], str]] = {
    "clone": _clone,
    "exec": _exec,
    "exit": _exit,
    "tcp_connect": _tcp_connect,
    "tcp_accept": _tcp_accept,
    "tcp_close": _tcp_close,
    "tcp_socket": _tcp_socket,
    "container": _container,
    "xdp_drop": _xdp_drop,
}
"""The tables whose rows have a form as lines, and what is behind the columns that all of them share."""


def line(table: str, row: Row, host: str = "") -> str:
    """Return one row as a line without control characters; ``host`` is as :func:`header` has it."""
    time = row["ts"].strftime("%H:%M:%S.%f")
    detail = DETAILS[table](row)
    pid, ppid, uid, comm = ("-" if row.get(name) is None else row[name] for name in ("pid", "ppid", "uid", "comm"))
    return printable(f"{time} {host}{table:11} {pid:>7} {ppid:>7} {uid:>6} {comm:16} {detail}")


def loss_line(row: Row, host: str = "") -> str:
    """Return a row of ``coverage`` that counts losses as a line: what is not among the others."""
    time = row["ts"].strftime("%H:%M:%S.%f")
    detail = f"{row['lost']:,} {row['table']} events in the {row['interval_ns'] / 1e9:.3f} s from here on"
    return printable(f"{time} {host}{'LOST':11} {'-':>7} {'-':>7} {'-':>6} {'-':16} {detail}")
