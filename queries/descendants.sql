-- Descendants: who is behind the processes that were made
--
-- Group: Processes
-- Question: Which processes made most others, themselves and through their children, and how fast?
-- Tables: clone, exec, process, recording
-- Columns:
--   pid            INTEGER    -    process id in the initial pid namespace
--   comm           VARCHAR    -    name that it had when it last made a task
--   children       BIGINT     -    processes that it made itself
--   descendants    BIGINT     -    processes that were made below it, children included
--   levels         BIGINT     -    generations below it
--   peak           BIGINT     -    most of its descendants that were made in one second of the recording
--   peak_s         BIGINT     s    the first second in which that was, from 0; -1 while probes were being attached
--   argv           VARCHAR[]  -    arguments of the last program that it executed; NULL where none were recorded
--   start_ns       BIGINT     ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id   VARCHAR    -    recording
-- Parameters:
--   min_descendants  BIGINT  2  a process with fewer is left out
-- Caveats: Only processes that were made during the recording count. A process stays below the one that made it, also when that has ended; where births were lost,
--   what is below them is missing.
WITH RECURSIVE born AS (
    SELECT
        c.recording_id, c.child_pid AS pid, c.child_start_ns AS start_ns, c.pid AS parent_pid, c.start_ns AS parent_start_ns,
        (c.ts_ns - r.start_ns - ((c.ts_ns - r.start_ns) % 1000000000 + 1000000000) % 1000000000) AS bucket_ns
    FROM clone c
    JOIN recording r ON r.recording_id = c.recording_id
    WHERE NOT c.is_thread
),
lines AS (
    SELECT recording_id, pid, start_ns, bucket_ns, parent_pid AS above_pid, parent_start_ns AS above_start_ns, CAST(1 AS BIGINT) AS level FROM born
    UNION ALL
    SELECT l.recording_id, l.pid, l.start_ns, l.bucket_ns, b.parent_pid AS above_pid, b.parent_start_ns AS above_start_ns, l.level + 1 AS level
    FROM lines l
    JOIN born b ON b.recording_id = l.recording_id AND b.pid = l.above_pid AND b.start_ns = l.above_start_ns
),
rates AS (
    SELECT
        recording_id, above_pid AS pid, above_start_ns AS start_ns, bucket_ns, count(*) AS made, max(level) AS levels,
        sum(CASE WHEN level = 1 THEN 1 ELSE 0 END) AS children,
        row_number() OVER (PARTITION BY recording_id, above_pid, above_start_ns ORDER BY count(*) DESC, bucket_ns) AS number
    FROM lines
    GROUP BY recording_id, above_pid, above_start_ns, bucket_ns
),
totals AS (
    SELECT
        recording_id, pid, start_ns, CAST(sum(children) AS BIGINT) AS children, CAST(sum(made) AS BIGINT) AS descendants, max(levels) AS levels,
        max(made) AS peak, CAST(max(CASE WHEN number = 1 THEN bucket_ns END) / 1000000000 AS BIGINT) AS peak_s
    FROM rates
    GROUP BY recording_id, pid, start_ns
),
named AS (
    SELECT
        recording_id, pid, start_ns, comm,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns DESC, comm) AS number
    FROM clone
)
SELECT
    t.pid,
    n.comm,
    t.children,
    t.descendants,
    t.levels,
    t.peak,
    t.peak_s,
    l.argv,
    t.start_ns,
    t.recording_id
FROM totals t
JOIN named n ON n.recording_id = t.recording_id AND n.pid = t.pid AND n.start_ns = t.start_ns AND n.number = 1
LEFT JOIN process_command l ON l.recording_id = t.recording_id AND l.pid = t.pid AND l.start_ns = t.start_ns
WHERE t.descendants >= CAST($min_descendants AS BIGINT)
ORDER BY t.recording_id, t.descendants DESC, t.start_ns, t.pid
