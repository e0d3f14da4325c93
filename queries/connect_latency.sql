-- Connect latency: how long TCP handshakes take, by destination
--
-- Group: TCP
-- Question: Which destinations are slow to connect to, and how often does it fail?
-- Tables: tcp_connect
-- Columns:
--   daddr         VARCHAR  -    address of the destination
--   dport         INTEGER  -    port of the destination
--   attempts      BIGINT   -    connects that were called
--   connected     BIGINT   -    those of them that connected
--   failed        BIGINT   -    those of them that failed; the rest was closed by the process, or pending at the end
--   p50_ms        DOUBLE   ms   latency of SYN to ESTABLISHED that half of the connected did not exceed; NULL where none connected
--   p90_ms        DOUBLE   ms   the same for 90 in 100
--   p99_ms        DOUBLE   ms   the same for 99 in 100
--   max_ms        DOUBLE   ms   longest latency
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Percentiles are latencies that were measured, without interpolation: of few connects the upper ones are the longest. A loopback address is another host
--   in each net namespace; all of them are counted together.
SELECT
    daddr,
    dport,
    count(*) AS attempts,
    CAST(sum(CASE WHEN outcome = 'connected' THEN 1 ELSE 0 END) AS BIGINT) AS connected,
    CAST(sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ns) / 1e6, 3) AS p50_ms,
    round(percentile_disc(0.9) WITHIN GROUP (ORDER BY latency_ns) / 1e6, 3) AS p90_ms,
    round(percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_ns) / 1e6, 3) AS p99_ms,
    round(max(latency_ns) / 1e6, 3) AS max_ms,
    recording_id
FROM tcp_connect
GROUP BY recording_id, daddr, dport
ORDER BY recording_id, p99_ms DESC NULLS LAST, attempts DESC, daddr, dport
