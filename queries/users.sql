-- Users: what ran in whose name
--
-- Group: Processes
-- Question: What did each user run, how much of it failed, and how much did it talk over TCP?
-- Tables: exec, exit, process, tcp_connect, tcp_accept, tcp_close, recording
-- Optional: tcp_connect, tcp_accept, tcp_close
-- Columns:
--   uid              INTEGER  -      real user id in the initial user namespace
--   processes        BIGINT   -      processes of that user that executed something, ended, or were there when the recording began
--   executions       BIGINT   -      programs that they executed
--   programs         BIGINT   -      different ones of these
--   failed           BIGINT   -      processes that ended with a code other than 0
--   killed           BIGINT   -      processes that a signal ended
--   connects         BIGINT   -      TCP connects that they tried
--   connects_failed  BIGINT   -      those of them that failed
--   accepts          BIGINT   -      TCP connections that they accepted
--   bytes_sent       BIGINT   bytes  data sent on connections that ended
--   bytes_received   BIGINT   bytes  data received on these
--   first_s          DOUBLE   s      first of these events, from the start of the recording; NULL: there was none after it
--   last_s           DOUBLE   s      last of them; NULL as above
--   recording_id     VARCHAR  -      recording
-- Parameters: none
-- Caveats: The recording has numbers, no names of users. A process that changes its user counts for each of them.
WITH events AS (
    SELECT
        recording_id, uid, ts_ns, pid, start_ns, filename, 0 AS failed, 0 AS killed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        CAST(NULL AS BIGINT) AS bytes_sent, CAST(NULL AS BIGINT) AS bytes_received
    FROM exec
    UNION ALL
    SELECT
        recording_id, uid, ts_ns, pid, start_ns, NULL AS filename, CASE WHEN exit_code <> 0 THEN 1 ELSE 0 END AS failed,
        CASE WHEN signal IS NOT NULL THEN 1 ELSE 0 END AS killed, 0 AS connect, 0 AS connect_failed, 0 AS accept, NULL AS bytes_sent, NULL AS bytes_received
    FROM exit
    UNION ALL
    SELECT
        recording_id, uid, NULL AS ts_ns, pid, start_ns, NULL AS filename, 0 AS failed, 0 AS killed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        NULL AS bytes_sent, NULL AS bytes_received
    FROM process
    UNION ALL
    SELECT
        recording_id, uid, ts_ns, pid, start_ns, NULL AS filename, 0 AS failed, 0 AS killed, 1 AS connect,
        CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END AS connect_failed, 0 AS accept, NULL AS bytes_sent, NULL AS bytes_received
    FROM tcp_connect
    UNION ALL
    SELECT
        recording_id, uid, ts_ns, pid, start_ns, NULL AS filename, 0 AS failed, 0 AS killed, 0 AS connect, 0 AS connect_failed, 1 AS accept,
        NULL AS bytes_sent, NULL AS bytes_received
    FROM tcp_accept
    UNION ALL
    SELECT
        recording_id, uid, ts_ns, pid, start_ns, NULL AS filename, 0 AS failed, 0 AS killed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        bytes_sent, bytes_received
    FROM tcp_close
    WHERE uid IS NOT NULL
)
SELECT
    e.uid,
    count(DISTINCT concat(e.pid, ' ', e.start_ns)) AS processes,
    count(e.filename) AS executions,
    count(DISTINCT e.filename) AS programs,
    CAST(sum(e.failed) AS BIGINT) AS failed,
    CAST(sum(e.killed) AS BIGINT) AS killed,
    CAST(sum(e.connect) AS BIGINT) AS connects,
    CAST(sum(e.connect_failed) AS BIGINT) AS connects_failed,
    CAST(sum(e.accept) AS BIGINT) AS accepts,
    CAST(coalesce(sum(e.bytes_sent), 0) AS BIGINT) AS bytes_sent,
    CAST(coalesce(sum(e.bytes_received), 0) AS BIGINT) AS bytes_received,
    round((min(e.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(e.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    e.recording_id
FROM events e
LEFT JOIN recording r ON r.recording_id = e.recording_id
GROUP BY e.recording_id, r.start_ns, e.uid
ORDER BY e.recording_id, executions DESC, processes DESC, e.uid
