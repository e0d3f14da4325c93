-- Short-lived processes: what is gone before top shows it
--
-- Group: Processes
-- Question: Which processes lived only for a moment, what did they run, and who started them?
-- Tables: clone, exec, exit, recording
-- Columns:
--   start_s       DOUBLE     s    birth, from the start of the recording
--   life_ms       DOUBLE     ms   from birth to end
--   pid           INTEGER    -    process id in the initial pid namespace
--   comm          VARCHAR    -    name of the process at its end
--   ended         VARCHAR    -    exit CODE, or the name of the signal
--   ppid          INTEGER    -    process id of the parent at its end
--   parent        VARCHAR    -    name of the process that made it; NULL when that was not seen
--   argv          VARCHAR[]  -    arguments of the last program that it executed; NULL where there was none, or none recorded
--   start_ns      BIGINT     ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR    -    recording
-- Parameters:
--   max_ms  DOUBLE  100  a process that lived as long as this, or longer, is left out
-- Caveats: Only processes that ended during the recording are here. A process that was made by CLONE_PARENT has the name of its maker as parent.
WITH born AS (
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, max(comm) AS parent
    FROM clone
    WHERE NOT is_thread
    GROUP BY recording_id, child_pid, child_start_ns
),
executed AS (
    SELECT
        recording_id, pid, start_ns, argv,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns DESC, filename) AS latest
    FROM exec
)
SELECT
    round((e.start_ns - r.start_ns) / 1e9, 3) AS start_s,
    round(e.duration_ns / 1e6, 3) AS life_ms,
    e.pid,
    e.comm,
    CASE WHEN e.signal IS NULL THEN concat('exit ', e.exit_code) ELSE signal_name(e.signal) END AS ended,
    e.ppid,
    b.parent,
    x.argv,
    e.start_ns,
    e.recording_id
FROM exit e
LEFT JOIN recording r ON r.recording_id = e.recording_id
LEFT JOIN born b ON b.recording_id = e.recording_id AND b.pid = e.pid AND b.start_ns = e.start_ns
LEFT JOIN executed x ON x.recording_id = e.recording_id AND x.pid = e.pid AND x.start_ns = e.start_ns AND x.latest = 1
WHERE e.duration_ns < CAST($max_ms AS DOUBLE) * 1000000
ORDER BY e.recording_id, e.start_ns, e.pid, e.ts_ns
