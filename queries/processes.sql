-- Processes: each one with its parent, its life and its end
--
-- Group: Processes
-- Question: Which processes ran, who started them, how long did they live, and how did they end?
-- Tables: clone, exec, exit, process, recording
-- Columns:
--   pid           INTEGER  -    process id in the initial pid namespace
--   ppid          INTEGER  -    process id of the parent when it was born, or when the recording began; NULL when not seen
--   comm          VARCHAR  -    last name of the process that was seen
--   program       VARCHAR  -    last program that it executed; NULL for one that never did, and for kernel threads
--   start_s       DOUBLE   s    birth, from the start of the recording; negative for those that were there before
--   life_ms       DOUBLE   ms   from birth to end; NULL when no end was seen
--   ended         VARCHAR  -    exit CODE, the name of the signal (and whether it dumped core), or no end seen
--   execs         BIGINT   -    programs that it executed during the recording
--   threads       BIGINT   -    threads that it made during the recording
--   seen_from     VARCHAR  -    how it became known: start (alive when the recording began), clone, exec, exit
--   start_ns      BIGINT   ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: no end seen means alive at the end of the recording, unless ends were lost or the recording is unfinished: see the coverage line. seen_from is exec or
--   exit when the event of the birth was lost.
WITH born AS (
    SELECT
        recording_id, child_pid AS pid, child_start_ns AS start_ns, max(comm) AS comm,
        -- CLONE_PARENT: the child becomes a sibling of the task that made it.
        max(CASE WHEN clone_flags & 32768 <> 0 THEN ppid ELSE pid END) AS ppid
    FROM clone
    WHERE NOT is_thread
    GROUP BY recording_id, child_pid, child_start_ns
),
threads AS (
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, count(*) AS threads
    FROM clone
    WHERE is_thread
    GROUP BY recording_id, child_pid, child_start_ns
),
numbered AS (
    SELECT
        recording_id, pid, start_ns, ppid, comm, filename,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns DESC, filename) AS latest,
        count(*) OVER (PARTITION BY recording_id, pid, start_ns) AS execs
    FROM exec
),
executed AS (
    SELECT recording_id, pid, start_ns, ppid, comm, filename, execs FROM numbered WHERE latest = 1
),
ended AS (
    SELECT
        recording_id, pid, start_ns, max(ppid) AS ppid, max(comm) AS comm, max(duration_ns) AS duration_ns,
        max(CASE WHEN signal IS NULL THEN concat('exit ', exit_code) WHEN core_dumped THEN concat(signal_name(signal), ', core dumped')
            ELSE signal_name(signal) END) AS ended
    FROM exit
    GROUP BY recording_id, pid, start_ns
),
alive AS (
    SELECT recording_id, pid, start_ns, max(ppid) AS ppid, max(comm) AS comm, max(exe) AS exe FROM process GROUP BY recording_id, pid, start_ns
),
keys AS (
    SELECT recording_id, pid, start_ns FROM born
    UNION
    SELECT recording_id, pid, start_ns FROM executed
    UNION
    SELECT recording_id, pid, start_ns FROM ended
    UNION
    SELECT recording_id, pid, start_ns FROM alive
)
SELECT
    k.pid,
    coalesce(b.ppid, a.ppid, x.ppid, e.ppid) AS ppid,
    coalesce(e.comm, x.comm, a.comm, b.comm) AS comm,
    coalesce(x.filename, a.exe) AS program,
    round((k.start_ns - r.start_ns) / 1e9, 3) AS start_s,
    round(e.duration_ns / 1e6, 3) AS life_ms,
    coalesce(e.ended, 'no end seen') AS ended,
    coalesce(x.execs, 0) AS execs,
    coalesce(t.threads, 0) AS threads,
    CASE WHEN b.pid IS NOT NULL THEN 'clone' WHEN a.pid IS NOT NULL THEN 'start' WHEN x.pid IS NOT NULL THEN 'exec' ELSE 'exit' END AS seen_from,
    k.start_ns,
    k.recording_id
FROM keys k
LEFT JOIN recording r ON r.recording_id = k.recording_id
LEFT JOIN born b ON b.recording_id = k.recording_id AND b.pid = k.pid AND b.start_ns = k.start_ns
LEFT JOIN alive a ON a.recording_id = k.recording_id AND a.pid = k.pid AND a.start_ns = k.start_ns
LEFT JOIN executed x ON x.recording_id = k.recording_id AND x.pid = k.pid AND x.start_ns = k.start_ns
LEFT JOIN ended e ON e.recording_id = k.recording_id AND e.pid = k.pid AND e.start_ns = k.start_ns
LEFT JOIN threads t ON t.recording_id = k.recording_id AND t.pid = k.pid AND t.start_ns = k.start_ns
ORDER BY k.recording_id, k.start_ns, k.pid
