"""Tables of the tcp tracer: connections."""

from __future__ import annotations

from recorder.schema.column import OWNER, TASK, TS, Clock, Column, Encoding, Kind, Table, Type


def _endpoints(local: str, peer: str) -> tuple[Column, ...]:
    """Return the columns of a connection's two ends. ``local`` and ``peer`` say when an end is unknown; it is never where they are empty."""

    def unless(why: str) -> str:
        return f"; NULL {why}" if why else ""

    scopes = "loopback, private, link_local, multicast or global"
    return (
        Column("family", Type.INT32, "4 or 6, as on the wire: a v4-mapped address is 4", kind=Kind.PLAIN),
        Column("saddr", Type.CATEGORY, f"Local address, canonical text{unless(local)}", nullable=bool(local), kind=Kind.ADDRESS),
        Column("sport", Type.INT32, f"Local port{unless(local)}", nullable=bool(local), encoding=Encoding.PLAIN, kind=Kind.PLAIN),
        Column("daddr", Type.CATEGORY, f"The peer's address, canonical text{unless(peer)}", nullable=bool(peer), kind=Kind.ADDRESS),
        Column("dport", Type.INT32, f"The peer's port{unless(peer)}", nullable=bool(peer), kind=Kind.PLAIN),
        Column("saddr_scope", Type.CATEGORY, f"{scopes}: what saddr is; NULL where it is none of them", nullable=True, kind=Kind.PLAIN),
        Column("daddr_scope", Type.CATEGORY, f"{scopes}: what daddr is; NULL where it is none of them", nullable=True, kind=Kind.PLAIN),
        Column("scope_id", Type.INT32, "Index of the interface that a link-local address belongs to", nullable=True, kind=Kind.NUMBER),
    )


FILTERS = frozenset({"port", "daddr", "family"})
"""Options of `record` that restrict these tables and no others."""

IS_MPTCP = Column("is_mptcp", Type.BOOL, "It was asked for as a Multipath TCP connection, or is a flow of one")

TABLES = (
    Table(
        "tcp_connect",
        "an outbound connect's outcome; the task is the one that called connect(2)",
        (
            *TS,
            *TASK,
            Column(
                "outcome",
                Type.CATEGORY,
                "connected, failed, closed (by the process, while it was pending) or pending (at the recording's end)",
                kind=Kind.PLAIN,
            ),
            Column(
                "errno", Type.INT32, "Error of the attempt; 0 when connected, NULL where there is none to be known", nullable=True, kind=Kind.PLAIN
            ),
            Column(
                "syn_ns",
                Type.INT64,
                "When the SYN went out, CLOCK_BOOTTIME; NULL when none did or too early",
                "ns",
                True,
                Encoding.DELTA,
                clock=Clock.BOOTTIME,
            ),
            Column("latency_ns", Type.INT64, "From SYN to ESTABLISHED; NULL unless connected", "ns", True, Encoding.PLAIN),
            *_endpoints("when none was assigned", ""),
            Column("is_fastopen", Type.BOOL, "TCP Fast Open: data went out with the SYN"),
            IS_MPTCP,
        ),
        tracer="tcp",
        time="ts_ns",
    ),
    Table(
        "tcp_accept",
        "an inbound connection taken by a process, by accept(2) or accept4(2)",
        (
            *TS,
            *TASK,
            Column("queued_ns", Type.INT64, "How long it was ESTABLISHED before it was accepted; NULL when not known", "ns", True, Encoding.PLAIN),
            *_endpoints("", ""),
            IS_MPTCP,
            Column("is_closed", Type.BOOL, "It had ended before it was taken: its row of tcp_close, if there is one, comes first and has no task"),
        ),
        tracer="tcp",
        time="ts_ns",
    ),
    Table(
        "tcp_close",
        "a connection's end; the task is the one that had opened or accepted it, NULL when not known",
        (
            *TS,
            *OWNER,
            Column("direction", Type.CATEGORY, "outbound or inbound", nullable=True, kind=Kind.PLAIN),
            Column("duration_ns", Type.INT64, "Since ESTABLISHED; NULL: that was before the recording", "ns", True, Encoding.PLAIN),
            Column("bytes_sent", Type.INT64, "Bytes of data sent, retransmissions not among them", "bytes"),
            Column("bytes_received", Type.INT64, "Bytes of data received in order", "bytes"),
            Column("retransmits", Type.INT32, "Segments sent again", kind=Kind.PLAIN),
            Column("srtt_us", Type.INT64, "Smoothed round-trip time; NULL when none was measured", "us", True, Encoding.PLAIN),
            Column("errno", Type.INT32, "What broke it off, e.g. 104 (reset by the peer); NULL when nothing did", nullable=True, kind=Kind.PLAIN),
            *_endpoints("when not known", "when not known"),
            IS_MPTCP,
        ),
        tracer="tcp",
        time="ts_ns",
    ),
    Table(
        "tcp_socket",
        "a connection or listening socket already there when the recording began; the task is one that holds it, NULL: none does",
        (
            *TS,
            *OWNER,
            Column("state", Type.CATEGORY, "State of RFC 9293 in small letters: listen, syn_sent, established, close_wait, …", kind=Kind.PLAIN),
            Column("direction", Type.CATEGORY, "outbound or inbound; NULL for listening sockets", nullable=True, kind=Kind.PLAIN),
            *_endpoints("", "for listening sockets"),
            IS_MPTCP,
        ),
        tracer="tcp",
        time="ts_ns",
        lasting=True,
    ),
)
