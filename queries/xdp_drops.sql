-- Packets dropped on purpose: how many, when, and by which rule
--
-- Group: XDP
-- Question: Which packets did the recorder drop, when, by which rule, and which share of all was that?
-- Tables: xdp_drop, xdp_pass, recording
-- Columns:
--   second        BIGINT   s      second of the recording, from 0; -1 while probes were being attached; none without a dropped packet
--   interface     VARCHAR  -      network interface that they came in by
--   mode          VARCHAR  -      how the program was attached: native or generic
--   rule          VARCHAR  -      rule that took them, as record --drop has it
--   protocol      VARCHAR  -      icmp, icmp6, tcp or udp
--   type          INTEGER  -      type of ICMP; NULL for other protocols, and for fragments behind the first
--   code          INTEGER  -      code of ICMP; NULL as above
--   packets       BIGINT   -      packets dropped
--   bytes         BIGINT   bytes  size of their frames, Ethernet header included
--   share_pct     DOUBLE   %      of all packets that came in by the interface in that second, dropped or let through
--   recording_id  VARCHAR  -      recording
-- Parameters: none
-- Caveats: Packets are counted every 200 ms, and belong to the second in which that interval began. Frames that are truncated or not as the RFCs have them are
--   let through, and counted as such. A recording that was not asked to drop anything (record --drop) has no rows here: nothing was dropped then.
WITH drops AS (
    SELECT
        d.recording_id, d.interface, d.mode, d.rule, d.protocol, d.type, d.code, d.packets, d.bytes,
        (d.ts_ns - r.start_ns) - ((d.ts_ns - r.start_ns) % 1000000000 + 1000000000) % 1000000000 AS bucket_ns
    FROM xdp_drop d
    JOIN recording r ON r.recording_id = d.recording_id
),
passes AS (
    SELECT
        p.recording_id, p.interface, p.packets,
        (p.ts_ns - r.start_ns) - ((p.ts_ns - r.start_ns) % 1000000000 + 1000000000) % 1000000000 AS bucket_ns
    FROM xdp_pass p
    JOIN recording r ON r.recording_id = p.recording_id
),
seen AS (
    SELECT recording_id, interface, bucket_ns, sum(packets) AS packets
    FROM (
        SELECT recording_id, interface, bucket_ns, packets FROM drops
        UNION ALL
        SELECT recording_id, interface, bucket_ns, packets FROM passes
    ) both_kinds
    GROUP BY recording_id, interface, bucket_ns
),
grouped AS (
    SELECT
        recording_id, bucket_ns, interface, mode, rule, protocol, type, code,
        CAST(sum(packets) AS BIGINT) AS packets, CAST(sum(bytes) AS BIGINT) AS bytes
    FROM drops
    GROUP BY recording_id, bucket_ns, interface, mode, rule, protocol, type, code
)
SELECT
    CAST(g.bucket_ns / 1000000000 AS BIGINT) AS second,
    g.interface,
    g.mode,
    g.rule,
    g.protocol,
    g.type,
    g.code,
    g.packets,
    g.bytes,
    round(100.0 * g.packets / s.packets, 2) AS share_pct,
    g.recording_id
FROM grouped g
JOIN seen s ON s.recording_id = g.recording_id AND s.interface = g.interface AND s.bucket_ns = g.bucket_ns
ORDER BY g.recording_id, g.bucket_ns, g.interface, g.rule, g.type NULLS FIRST, g.code NULLS FIRST, g.mode, g.protocol
