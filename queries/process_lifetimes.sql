-- Process lifetimes: a histogram
--
-- Group: Processes
-- Question: How long do processes live?
-- Tables: exit
-- Bars: processes
-- Columns:
--   from_ms       DOUBLE   ms   shortest life in this row
--   below_ms      DOUBLE   ms   lives from here on are in the next row
--   processes     BIGINT   -    processes that lived as long
--   percent       DOUBLE   %    of all that ended
--   failed        BIGINT   -    those of them that ended with a code other than 0, or by a signal
--   programs      BIGINT   -    different names of these processes
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Only processes that ended during the recording are here: those that live longer than it are few among them. Rows without a process are left out.
WITH buckets AS (
    SELECT
        recording_id, comm, exit_code, signal,
        CASE WHEN duration_ns < 1000 THEN 0 ELSE CAST(power(2, floor(log2(floor(duration_ns / 1000)))) AS BIGINT) END AS from_us
    FROM exit
)
SELECT
    round(from_us / 1e3, 3) AS from_ms,
    round(CASE WHEN from_us = 0 THEN 1 ELSE 2 * from_us END / 1e3, 3) AS below_ms,
    count(*) AS processes,
    round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY recording_id), 1) AS percent,
    CAST(sum(CASE WHEN exit_code <> 0 OR signal IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT) AS failed,
    count(DISTINCT comm) AS programs,
    recording_id
FROM buckets
GROUP BY recording_id, from_us
ORDER BY recording_id, from_us
