-- Connection lifetimes: a histogram
--
-- Group: TCP
-- Question: How long do connections live, how much do they carry, and how many are broken off?
-- Tables: tcp_close
-- Bars: connections
-- Columns:
--   direction     VARCHAR  -      outbound: they were connected from here; inbound: they were accepted here; NULL when not known
--   from_ms       DOUBLE   ms     shortest life in this row, from ESTABLISHED to the end
--   below_ms      DOUBLE   ms     lives from here on are in the next row
--   connections   BIGINT   -      connections that lived as long
--   percent       DOUBLE   %      of all of that direction
--   broken        BIGINT   -      those of them that an error broke off, such as a reset by the peer
--   bytes         BIGINT   bytes  data that they carried, both ways
--   p50_bytes     BIGINT   bytes  data that half of them did not exceed
--   recording_id  VARCHAR  -      recording
-- Parameters: none
-- Caveats: Only connections that were established and ended during the recording. Many short ones to the same peer are what keep-alive or a pool would save: see top_talkers.
--   Rows without a connection are left out.
WITH buckets AS (
    SELECT
        recording_id, direction, errno, bytes_sent + bytes_received AS bytes,
        CASE WHEN duration_ns < 1000 THEN 0 ELSE CAST(power(2, floor(log2(floor(duration_ns / 1000)))) AS BIGINT) END AS from_us
    FROM tcp_close
    WHERE duration_ns IS NOT NULL
)
SELECT
    direction,
    round(from_us / 1e3, 3) AS from_ms,
    round(CASE WHEN from_us = 0 THEN 1 ELSE 2 * from_us END / 1e3, 3) AS below_ms,
    count(*) AS connections,
    round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY recording_id, direction), 1) AS percent,
    CAST(sum(CASE WHEN errno IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS broken,
    CAST(sum(bytes) AS BIGINT) AS bytes,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY bytes) AS p50_bytes,
    recording_id
FROM buckets
GROUP BY recording_id, direction, from_us
ORDER BY recording_id, direction, from_us
