-- Connects while packets were dropped: was it us?
--
-- Group: XDP
-- Question: Which connects failed, got no answer or were slow while packets were dropped on purpose, and how did the same destinations do outside of that?
-- Tables: tcp_connect, xdp_drop, probe, recording
-- Columns:
--   daddr               VARCHAR  -   address of the destination
--   dport               INTEGER  -   port of the destination
--   was_it_us           VARCHAR  -   no, nothing dropped; likely, unanswered; likely, slower; no sign of it; nothing to compare with
--   dropped             BIGINT   -   packets dropped during these connects: those of rules for tcp and, for IPv6, for icmp6, by which neighbours are found
--   connects_during     BIGINT   -   connects that were under way while packets were dropped
--   failed_during       BIGINT   -   those of them that failed with another error than ETIMEDOUT
--   unanswered_during   BIGINT   -   those of them without an answer: timed out, given up by the process, or pending at the end
--   p50_ms_during       DOUBLE   ms  latency of SYN to ESTABLISHED that half of the connected ones did not exceed
--   connects_outside    BIGINT   -   connects that were not
--   failed_outside      BIGINT   -   as above
--   unanswered_outside  BIGINT   -   as above
--   p50_ms_outside      DOUBLE   ms  as above
--   recording_id        VARCHAR  -   recording
-- Parameters:
--   slower              DOUBLE   2.0  how many times the latency outside makes a destination slower
-- Caveats: "likely" is a comparison, no proof: dropped has all packets of the rules that were dropped in the same 200 ms, whichever connection they were of. A share
--   of the unanswered that is higher than outside is told before a latency that is. Only destinations with a connect during the drops are here.
WITH windows AS (
    SELECT p.recording_id, p.attached_ns AS begin_ns, coalesce(p.detached_ns, r.end_ns, 9223372036854775807) AS end_ns
    FROM probe p
    JOIN recording r ON r.recording_id = p.recording_id
    WHERE p.tracer = 'xdp' AND p.attached_ns IS NOT NULL
),
connects AS (
    SELECT
        recording_id, daddr, dport, family, coalesce(syn_ns, ts_ns) AS begin_ns, ts_ns AS end_ns, latency_ns,
        CASE WHEN outcome = 'closed' OR outcome = 'pending' OR coalesce(errno, 0) = 110 THEN 1 ELSE 0 END AS is_unanswered,
        CASE WHEN outcome = 'failed' AND coalesce(errno, 0) <> 110 THEN 1 ELSE 0 END AS is_failed,
        EXISTS (
            SELECT 1 FROM windows w
            WHERE w.recording_id = tcp_connect.recording_id AND w.begin_ns <= tcp_connect.ts_ns
              AND w.end_ns >= coalesce(tcp_connect.syn_ns, tcp_connect.ts_ns)
        ) AS is_during
    FROM tcp_connect
),
drops AS (
    SELECT recording_id, interface, rule, protocol, ts_ns AS begin_ns, ts_ns + interval_ns AS end_ns, sum(packets) AS packets
    FROM xdp_drop
    WHERE protocol = 'tcp' OR protocol = 'icmp6'
    GROUP BY recording_id, interface, rule, protocol, ts_ns, interval_ns
),
hits AS (
    SELECT DISTINCT c.recording_id, c.daddr, c.dport, d.interface, d.rule, d.begin_ns, d.packets
    FROM connects c
    JOIN drops d ON d.recording_id = c.recording_id AND d.begin_ns <= c.end_ns AND d.end_ns >= c.begin_ns
    WHERE c.is_during AND (d.protocol = 'tcp' OR c.family = 6)
),
dropped AS (
    SELECT recording_id, daddr, dport, CAST(sum(packets) AS BIGINT) AS packets
    FROM hits
    GROUP BY recording_id, daddr, dport
),
sides AS (
    SELECT
        recording_id, daddr, dport, is_during, count(*) AS connects,
        CAST(sum(is_failed) AS BIGINT) AS failed, CAST(sum(is_unanswered) AS BIGINT) AS unanswered,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ns) / 1e6 AS p50_ms
    FROM connects
    GROUP BY recording_id, daddr, dport, is_during
)
SELECT
    i.daddr,
    i.dport,
    CASE
        WHEN d.packets IS NULL THEN 'no, nothing dropped'
        WHEN o.connects IS NULL THEN 'nothing to compare with'
        WHEN i.unanswered * o.connects > o.unanswered * i.connects THEN 'likely, unanswered'
        WHEN i.p50_ms >= $slower * o.p50_ms THEN 'likely, slower'
        ELSE 'no sign of it'
    END AS was_it_us,
    coalesce(d.packets, 0) AS dropped,
    i.connects AS connects_during,
    i.failed AS failed_during,
    i.unanswered AS unanswered_during,
    round(i.p50_ms, 3) AS p50_ms_during,
    coalesce(o.connects, 0) AS connects_outside,
    coalesce(o.failed, 0) AS failed_outside,
    coalesce(o.unanswered, 0) AS unanswered_outside,
    round(o.p50_ms, 3) AS p50_ms_outside,
    i.recording_id
FROM sides i
LEFT JOIN sides o ON o.recording_id = i.recording_id AND o.daddr = i.daddr AND o.dport = i.dport AND NOT o.is_during
LEFT JOIN dropped d ON d.recording_id = i.recording_id AND d.daddr = i.daddr AND d.dport = i.dport
WHERE i.is_during
ORDER BY i.recording_id, i.unanswered DESC, i.connects DESC, i.daddr, i.dport
