-- User changes: processes that became another user
--
-- Group: Processes
-- Question: Which processes changed their real user id, from which to which, and what did they run then?
-- Tables: clone, exec, exit, process, tcp_connect, recording
-- Optional: tcp_connect
-- Columns:
--   at_s          DOUBLE     s    first event as the new user, from the start of the recording
--   pid           INTEGER    -    process id in the initial pid namespace
--   uid_before    INTEGER    -    real user id of its last event before; at its birth that of the process that made it
--   uid           INTEGER    -    real user id from then on
--   seen_in       VARCHAR    -    table of that first event: clone (it made a task), exec, exit, tcp_connect
--   comm          VARCHAR    -    its name then
--   argv          VARCHAR[]  -    arguments, where that event is an exec; NULL otherwise, and where none were recorded
--   start_ns      BIGINT     ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: Real user ids, not effective ones: a set-user-id program shows up when it makes its privilege real, as sudo and su do. A change that was taken back before
--   the next event is not seen. Ids are those of the initial user namespace.
WITH users AS (
    SELECT recording_id, pid, start_ns, uid FROM exec
    UNION ALL
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, uid FROM clone WHERE NOT is_thread
    UNION ALL
    SELECT recording_id, pid, start_ns, uid FROM process
    UNION ALL
    SELECT recording_id, pid, start_ns, uid FROM clone
    UNION ALL
    SELECT recording_id, pid, start_ns, uid FROM tcp_connect
    UNION ALL
    SELECT recording_id, pid, start_ns, uid FROM exit
),
-- Few processes ever have two users: only what these did has to be put in order.
changed AS (
    SELECT recording_id, pid, start_ns FROM users GROUP BY recording_id, pid, start_ns HAVING min(uid) <> max(uid)
),
steps AS (
    SELECT recording_id, pid, start_ns, ts_ns, 3 AS step, uid, comm, 'exec' AS seen_in, argv FROM exec
    UNION ALL
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, ts_ns, 0 AS step, uid, comm, 'clone' AS seen_in, NULL AS argv
    FROM clone
    WHERE NOT is_thread
    UNION ALL
    SELECT recording_id, pid, start_ns, ts_ns, 1 AS step, uid, comm, 'process' AS seen_in, NULL AS argv FROM process
    UNION ALL
    SELECT recording_id, pid, start_ns, ts_ns, 2 AS step, uid, comm, 'clone' AS seen_in, NULL AS argv FROM clone
    UNION ALL
    -- What a connect says of its process is of when it was called.
    SELECT recording_id, pid, start_ns, coalesce(syn_ns, ts_ns) AS ts_ns, 4 AS step, uid, comm, 'tcp_connect' AS seen_in, NULL AS argv FROM tcp_connect
    UNION ALL
    SELECT recording_id, pid, start_ns, ts_ns, 5 AS step, uid, comm, 'exit' AS seen_in, NULL AS argv FROM exit
),
ordered AS (
    SELECT
        s.recording_id, s.pid, s.start_ns, s.ts_ns, s.step, s.uid, s.comm, s.seen_in, s.argv,
        lag(s.uid) OVER (PARTITION BY s.recording_id, s.pid, s.start_ns ORDER BY s.ts_ns, s.step, s.uid) AS uid_before
    FROM steps s
    WHERE (s.recording_id, s.pid, s.start_ns) IN (SELECT recording_id, pid, start_ns FROM changed)
)
SELECT
    round((o.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    o.pid,
    o.uid_before,
    o.uid,
    o.seen_in,
    o.comm,
    o.argv,
    o.start_ns,
    o.recording_id
FROM ordered o
LEFT JOIN recording r ON r.recording_id = o.recording_id
WHERE o.uid <> o.uid_before
ORDER BY o.recording_id, o.ts_ns, o.pid, o.start_ns, o.step, o.uid
