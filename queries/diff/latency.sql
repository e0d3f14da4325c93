-- How long connecting takes
--
-- Group: TCP
-- Question: How long do TCP handshakes take, by destination?
-- Tables: tcp_connect
-- Columns:
--   what          VARCHAR   -   address and port of the destination
--   events        BIGINT    -   connects that connected, and whose latency is known
--   latencies_ms  DOUBLE[]  ms  some of their latencies, from SYN to ESTABLISHED
--   port          INTEGER   -   that port
--   family        VARCHAR   -   address of the destination
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: Of each destination up to 2,000 latencies are looked at, evenly over time.
WITH numbered AS (
    SELECT
        recording_id, daddr, dport, latency_ns,
        row_number() OVER (PARTITION BY recording_id, daddr, dport ORDER BY ts_ns, pid, sport) AS number,
        count(*) OVER (PARTITION BY recording_id, daddr, dport) AS total
    FROM tcp_connect
    WHERE outcome = 'connected' AND latency_ns IS NOT NULL
)
SELECT
    concat(daddr, ' port ', CAST(dport AS VARCHAR)) AS what,
    max(total) AS events,
    list(latency_ns / 1e6 ORDER BY number) AS latencies_ms,
    dport AS port,
    daddr AS family,
    recording_id
FROM numbered
WHERE number % (CAST(floor(total / 2001.0) AS BIGINT) + 1) = 0
GROUP BY recording_id, daddr, dport
ORDER BY recording_id, what
