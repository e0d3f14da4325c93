-- Spawns: which programs start which
--
-- Group: Processes
-- Question: Which programs start which others, how often, and as which users?
-- Tables: exec, clone, process, recording
-- Columns:
--   parent        VARCHAR  -    name of the process that made the one which executed; its own name before, where it had executed another; NULL when not seen
--   program       VARCHAR  -    path of the program, as it was given to execve(2)
--   way           VARCHAR  -    fork: a new process executed it; exec: the same process did, in place of what it had been; NULL when not known
--   times         BIGINT   -    how often
--   users         BIGINT   -    different real user ids that it ran as
--   uid           INTEGER  -    lowest of them
--   first_s       DOUBLE   s    first time, from the start of the recording
--   last_s        DOUBLE   s    last time, from the start of the recording
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: The parent is the one at birth, by the name that it had then: for a subshell in between that is the shell. One process after the other is in process_tree.
WITH born AS (
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, max(comm) AS parent
    FROM clone
    WHERE NOT is_thread
    GROUP BY recording_id, child_pid, child_start_ns
),
executed AS (
    SELECT
        recording_id, pid, start_ns, filename, uid, ts_ns,
        lag(comm) OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns, filename) AS before
    FROM exec
),
edges AS (
    SELECT
        x.recording_id, x.filename, x.uid, x.ts_ns, coalesce(x.before, b.parent, p.comm) AS parent,
        CASE WHEN x.before IS NULL AND b.parent IS NOT NULL THEN 'fork' WHEN coalesce(x.before, p.comm) IS NOT NULL THEN 'exec' END AS way
    FROM executed x
    LEFT JOIN born b ON b.recording_id = x.recording_id AND b.pid = x.pid AND b.start_ns = x.start_ns
    LEFT JOIN process p ON p.recording_id = x.recording_id AND p.pid = x.pid AND p.start_ns = x.start_ns
)
SELECT
    e.parent,
    e.filename AS program,
    e.way,
    count(*) AS times,
    count(DISTINCT e.uid) AS users,
    min(e.uid) AS uid,
    round((min(e.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(e.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    e.recording_id
FROM edges e
LEFT JOIN recording r ON r.recording_id = e.recording_id
GROUP BY e.recording_id, r.start_ns, e.parent, e.filename, e.way
ORDER BY e.recording_id, times DESC, e.parent, e.filename, e.way
