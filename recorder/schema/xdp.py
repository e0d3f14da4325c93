"""Tables of the xdp tracer: packets dropped on purpose, and those let through meanwhile."""

from __future__ import annotations

from recorder.schema.column import INTERVAL, TS, Column, Kind, Table, Type

INTERFACE = Column("interface", Type.CATEGORY, "Name of the network interface that they came in by", kind=Kind.HOST)
PACKETS = Column("packets", Type.INT64, "How many; never 0", kind=Kind.PLAIN)
BYTES = Column("bytes", Type.INT64, "Size of their frames, Ethernet header included", "bytes")

TABLES = (
    Table(
        "xdp_drop",
        "packets that a rule of --drop dropped in an interval of some 200 ms, by rule, type and code; each packet is in one row",
        (
            *TS,
            INTERVAL,
            INTERFACE,
            Column("mode", Type.CATEGORY, "How the program was attached: native (in the driver) or generic", kind=Kind.PLAIN),
            Column("rule", Type.CATEGORY, "The rule, as --drop takes it", kind=Kind.RULE),
            Column("protocol", Type.CATEGORY, "icmp, icmp6, tcp or udp", kind=Kind.PLAIN),
            Column("type", Type.INT32, "Type of ICMP; NULL for other protocols, and in fragments behind the first", nullable=True, kind=Kind.PLAIN),
            Column("code", Type.INT32, "Code of ICMP; NULL as above", nullable=True, kind=Kind.PLAIN),
            PACKETS,
            BYTES,
        ),
        tracer="xdp",
        time="ts_ns",
        is_own_doing=True,
    ),
    Table(
        "xdp_pass",
        "packets let through in an interval of some 200 ms, on an interface with rules of --drop",
        (*TS, INTERVAL, INTERFACE, PACKETS, BYTES),
        tracer="xdp",
        time="ts_ns",
        is_own_doing=True,
    ),
)
