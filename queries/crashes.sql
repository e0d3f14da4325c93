-- Crashes: processes that a signal ended
--
-- Group: Processes
-- Question: Which processes did a signal end, which signal, and what had they been running?
-- Tables: exit, exec, clone, process, recording
-- Columns:
--   at_s          DOUBLE     s    when it ended, from the start of the recording
--   signal        VARCHAR    -    name of the signal
--   core_dumped   BOOLEAN    -    a core dump was written
--   pid           INTEGER    -    process id in the initial pid namespace
--   comm          VARCHAR    -    name of the process at its end
--   life_ms       DOUBLE     ms   from birth to end
--   uid           INTEGER    -    real user id
--   ppid          INTEGER    -    process id of the parent at its end
--   parent        VARCHAR    -    name of the process that made it, else of the parent at its end; NULL when neither was seen
--   argv          VARCHAR[]  -    arguments of the last program that it executed; NULL where none were recorded
--   start_ns      BIGINT     ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: Who sent the signal is not recorded. SIGTERM and SIGHUP are how services are stopped; SIGKILL is also what the kernel sends when memory is short.
--   A program that handles a signal and then exits by itself is in failing_programs.
WITH born AS (
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, max(comm) AS parent
    FROM clone
    WHERE NOT is_thread
    GROUP BY recording_id, child_pid, child_start_ns
)
SELECT
    round((e.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    signal_name(e.signal) AS signal,
    e.core_dumped,
    e.pid,
    e.comm,
    round(e.duration_ns / 1e6, 3) AS life_ms,
    e.uid,
    e.ppid,
    coalesce(b.parent, p.comm) AS parent,
    l.argv,
    e.start_ns,
    e.recording_id
FROM exit e
LEFT JOIN recording r ON r.recording_id = e.recording_id
LEFT JOIN born b ON b.recording_id = e.recording_id AND b.pid = e.pid AND b.start_ns = e.start_ns
LEFT JOIN process p ON p.recording_id = e.recording_id AND p.pid = e.ppid AND p.start_ns < e.start_ns
LEFT JOIN process_command l ON l.recording_id = e.recording_id AND l.pid = e.pid AND l.start_ns = e.start_ns
WHERE e.signal IS NOT NULL
ORDER BY e.recording_id, e.ts_ns, e.pid, e.start_ns
