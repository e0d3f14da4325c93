-- Latency histogram: how long TCP handshakes take
--
-- Group: TCP
-- Question: How are the latencies of connects distributed, on this machine and beyond it?
-- Tables: tcp_connect
-- Bars: connects
-- Columns:
--   scope         VARCHAR  -    what the peer's address is: loopback, private, link_local or global; NULL where it is none of them
--   from_us       BIGINT   us   shortest latency in this row, SYN to ESTABLISHED
--   below_us      BIGINT   us   latencies from here on are in the next row
--   connects      BIGINT   -    connects that took as long
--   percent       DOUBLE   %    of all of that scope that connected
--   peers         BIGINT   -    different addresses that they went to
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Only connects that succeeded. A second hump a second, or three, after the first is SYNs that were sent again. Rows without a connect are left out.
WITH buckets AS (
    SELECT
        recording_id, daddr_scope, daddr,
        CASE WHEN latency_ns < 1000 THEN 0 ELSE CAST(power(2, floor(log2(floor(latency_ns / 1000)))) AS BIGINT) END AS from_us
    FROM tcp_connect
    WHERE latency_ns IS NOT NULL
)
SELECT
    daddr_scope AS scope,
    from_us,
    CASE WHEN from_us = 0 THEN 1 ELSE 2 * from_us END AS below_us,
    count(*) AS connects,
    round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY recording_id, daddr_scope), 1) AS percent,
    count(DISTINCT daddr) AS peers,
    recording_id
FROM buckets
GROUP BY recording_id, daddr_scope, from_us
ORDER BY recording_id, daddr_scope, from_us
