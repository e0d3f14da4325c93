-- History: what a process did, step by step
--
-- Group: Processes
-- Question: What did a process do, in order: tasks that it made, programs, connects, accepts, and its end?
-- Tables: clone, exec, exit, process, tcp_connect, tcp_accept, tcp_close, recording
-- Optional: tcp_connect, tcp_accept, tcp_close
-- Columns:
--   at_s          DOUBLE     s    when, from the start of the recording
--   event         VARCHAR    -    table of the recording that has it
--   pid           INTEGER    -    process that did it
--   comm          VARCHAR    -    its name then
--   detail        VARCHAR    -    what: the child or thread, the program, the peer and what came of it, the exit code or signal
--   argv          VARCHAR[]  -    arguments of the program; NULL elsewhere, and where none were recorded
--   start_ns      BIGINT     ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR    -    recording
-- Parameters:
--   pid  BIGINT  0  the process; 0: all of them
-- Caveats: A process id that was used again during the recording shows all processes that had it; start_ns tells them apart. Connects are at their outcome. What others
--   did to it, such as sending a signal, is not recorded.
WITH events AS (
    SELECT recording_id, ts_ns, 2 AS step, 'exec' AS event, pid, tid, start_ns, comm, filename AS detail, argv FROM exec
    UNION ALL
    SELECT recording_id, ts_ns, 0 AS step, 'process' AS event, pid, tid, start_ns, comm, exe AS detail, cmdline AS argv FROM process
    UNION ALL
    SELECT
        recording_id, ts_ns, 1 AS step, 'clone' AS event, pid, tid, start_ns, comm,
        CASE WHEN is_thread THEN concat('thread ', child_tid) ELSE concat('child ', child_pid) END AS detail, NULL AS argv
    FROM clone
    UNION ALL
    SELECT
        recording_id, ts_ns, 3 AS step, 'tcp_connect' AS event, pid, tid, start_ns, comm,
        concat(
            CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END, ' ',
            CASE WHEN outcome = 'failed' THEN coalesce(errno_name(errno), 'failed') ELSE outcome END,
            CASE WHEN latency_ns IS NOT NULL THEN concat(' after ', round(latency_ns / 1e6, 3), ' ms') ELSE '' END
        ) AS detail, NULL AS argv
    FROM tcp_connect
    UNION ALL
    SELECT
        recording_id, ts_ns, 4 AS step, 'tcp_accept' AS event, pid, tid, start_ns, comm,
        concat('port ', sport, ' from ', CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END) AS detail, NULL AS argv
    FROM tcp_accept
    UNION ALL
    SELECT
        recording_id, ts_ns, 5 AS step, 'tcp_close' AS event, pid, tid, start_ns, comm,
        concat(
            CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END,
            ' sent ', bytes_sent, ' received ', bytes_received, ' bytes',
            CASE WHEN errno IS NOT NULL THEN concat(', ', errno_name(errno)) ELSE '' END
        ) AS detail, NULL AS argv
    FROM tcp_close
    WHERE pid IS NOT NULL
    UNION ALL
    SELECT
        recording_id, ts_ns, 6 AS step, 'exit' AS event, pid, tid, start_ns, comm,
        concat(
            CASE WHEN signal IS NULL THEN concat('exit ', exit_code) ELSE signal_name(signal) END, CASE WHEN core_dumped THEN ', core dumped' ELSE '' END,
            ' after ', round(duration_ns / 1e6, 3), ' ms'
        ) AS detail, NULL AS argv
    FROM exit
)
SELECT
    round((e.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    e.event,
    e.pid,
    e.comm,
    e.detail,
    e.argv,
    e.start_ns,
    e.recording_id
FROM events e
LEFT JOIN recording r ON r.recording_id = e.recording_id
WHERE CAST($pid AS BIGINT) IN (0, e.pid)
ORDER BY e.recording_id, e.ts_ns, e.step, e.pid, e.start_ns, e.tid, e.detail
