-- Clone rate: new processes and threads, by second and parent
--
-- Group: Processes
-- Question: When were many tasks made, and who made them?
-- Tables: clone, recording
-- Bars: processes, threads
-- Columns:
--   second        BIGINT   s    second of the recording, from 0; -1 while probes were being attached; none without a new task
--   pid           INTEGER  -    process that made them
--   comm          VARCHAR  -    its name when it made them
--   processes     BIGINT   -    processes that it made in that second
--   threads       BIGINT   -    threads that it made in that second
--   total         BIGINT   -    processes and threads that all made in that second
--   start_ns      BIGINT   ns   birth of the process that made them, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: A process that changed its name within a second has a row for each name. The first and the last second may be parts of one.
WITH counts AS (
    SELECT
        c.recording_id,
        (c.ts_ns - r.start_ns - ((c.ts_ns - r.start_ns) % 1000000000 + 1000000000) % 1000000000) AS bucket_ns,
        c.pid, c.comm, c.start_ns,
        CAST(sum(CASE WHEN c.is_thread THEN 0 ELSE 1 END) AS BIGINT) AS processes,
        CAST(sum(CASE WHEN c.is_thread THEN 1 ELSE 0 END) AS BIGINT) AS threads
    FROM clone c
    JOIN recording r ON r.recording_id = c.recording_id
    GROUP BY 1, 2, 3, 4, 5
)
SELECT
    CAST(bucket_ns / 1000000000 AS BIGINT) AS second,
    pid,
    comm,
    processes,
    threads,
    CAST(sum(processes + threads) OVER (PARTITION BY recording_id, bucket_ns) AS BIGINT) AS total,
    start_ns,
    recording_id
FROM counts
ORDER BY recording_id, bucket_ns, processes + threads DESC, pid, start_ns, comm
