-- Connect rate: TCP connects by second
--
-- Group: TCP
-- Question: When were many connects made, and what came of them?
-- Tables: tcp_connect, recording
-- Bars: attempts
-- Columns:
--   second        BIGINT   s    second of the recording, from 0; -1 while probes were being attached; none without a connect
--   attempts      BIGINT   -    connects that were made in that second
--   connected     BIGINT   -    those of them that connected, then or later
--   failed        BIGINT   -    those of them that failed
--   closed        BIGINT   -    those of them that the process closed before they were decided
--   pending       BIGINT   -    those of them that were undecided when the recording ended
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: A connect counts in the second of its SYN, or of its outcome where no SYN is known. The first and the last second may be parts of one.
WITH attempts AS (
    SELECT t.recording_id, t.outcome, coalesce(t.syn_ns, t.ts_ns) - r.start_ns AS since_ns
    FROM tcp_connect t
    JOIN recording r ON r.recording_id = t.recording_id
),
buckets AS (
    SELECT recording_id, outcome, (since_ns - (since_ns % 1000000000 + 1000000000) % 1000000000) AS bucket_ns FROM attempts
)
SELECT
    CAST(bucket_ns / 1000000000 AS BIGINT) AS second,
    count(*) AS attempts,
    CAST(sum(CASE WHEN outcome = 'connected' THEN 1 ELSE 0 END) AS BIGINT) AS connected,
    CAST(sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
    CAST(sum(CASE WHEN outcome = 'closed' THEN 1 ELSE 0 END) AS BIGINT) AS closed,
    CAST(sum(CASE WHEN outcome = 'pending' THEN 1 ELSE 0 END) AS BIGINT) AS pending,
    recording_id
FROM buckets
GROUP BY recording_id, bucket_ns
ORDER BY recording_id, bucket_ns
