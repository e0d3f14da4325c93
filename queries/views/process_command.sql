-- a process, and the last program that it executed
--
-- Tables: exec, process
-- Columns:
--   pid           INTEGER    -   Process id in the initial pid namespace
--   start_ns      BIGINT     ns  Its birth, CLOCK_BOOTTIME; with pid and recording_id what rows of other tables are joined by
--   filename      VARCHAR    -   File of that program as exec has it, or, of a process that executed nothing since the recording began, as process has exe
--   argv          VARCHAR[]  -   Its arguments; NULL where none were recorded
--   host          VARCHAR    -   Host that it was on
--   recording_id  VARCHAR    -   Recording
-- Caveats: Of a process that executed nothing during the recording it is what it was when that began. One that was made later and executed nothing is not here.
WITH commands AS (
    SELECT recording_id, host, pid, start_ns, filename, argv, ts_ns, 1 AS source FROM exec
    UNION ALL
    SELECT recording_id, host, pid, start_ns, exe AS filename, cmdline AS argv, ts_ns, 0 AS source FROM process
),
numbered AS (
    SELECT
        recording_id, host, pid, start_ns, filename, argv,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY source DESC, ts_ns DESC) AS latest
    FROM commands
)
SELECT
    pid,
    start_ns,
    filename,
    argv,
    host,
    recording_id
FROM numbered
WHERE latest = 1
