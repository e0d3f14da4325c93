-- 99 in 100 connects were fast
--
-- Group: TCP
-- Question: Did the slowest hundredth of the TCP handshakes take too long?
-- Expect: rows = 0
-- Tables: tcp_connect
-- Columns:
--   p99_ms        DOUBLE   ms   latency of SYN to ESTABLISHED that 99 in 100 of the connected did not exceed
--   max_ms        DOUBLE   ms   longest latency
--   connected     BIGINT   -    connects that connected
--   recording_id  VARCHAR  -    recording
-- Parameters:
--   max_ms  DOUBLE  20  longest 99th percentile that is good enough (ms)
-- Caveats: Each recording by itself, with loopback. Connects that failed have no latency and do not count; where none connected, none was slow.
SELECT
    round(percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_ns) / 1e6, 3) AS p99_ms,
    round(max(latency_ns) / 1e6, 3) AS max_ms,
    count(*) AS connected,
    recording_id
FROM tcp_connect
WHERE outcome = 'connected'
GROUP BY recording_id
HAVING percentile_disc(0.99) WITHIN GROUP (ORDER BY latency_ns) > $max_ms * 1e6
ORDER BY recording_id
