-- Overview: what is in a recording
--
-- Group: Recording
-- Question: What does this recording hold, and how complete is it?
-- Tables: recording, coverage, clone, exec, exit, process, tcp_connect, tcp_accept, tcp_close, tcp_socket, container, xdp_drop, xdp_pass
-- Optional: xdp_drop, xdp_pass
-- Columns:
--   host          VARCHAR    -    name of the host
--   started       TIMESTAMP  us   when the last probe had attached, UTC
--   window_s      DOUBLE     s    length of the recording; of an unfinished one, up to its last coverage interval
--   ended         VARCHAR    -    clean: reason, or unfinished
--   table         VARCHAR    -    table of the recording
--   rows          BIGINT     -    rows in it
--   events        BIGINT     -    events that the kernel handed over; NULL where none are counted
--   lost          BIGINT     -    events that happened and are not in the table; NULL as above
--   covered_s     DOUBLE     s    how long all probes of the table were attached; NULL as above
--   first_s       DOUBLE     s    first row, from the start of the recording
--   last_s        DOUBLE     s    last row, from the start of the recording
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: Rows of process and tcp_socket are what was there when the recording began; it is older than the window. Where events were lost, rows are fewer
--   than what happened.
WITH windows AS (
    SELECT
        r.recording_id, r.host, r.start_ts, r.start_ns, coalesce(r.end_ns, max(c.ts_ns + c.interval_ns)) AS end_ns,
        CASE WHEN r.clean_end AND r.end_ns IS NOT NULL THEN concat('clean: ', coalesce(r.end_reason, 'no reason given')) ELSE 'unfinished' END AS ended
    FROM recording r
    LEFT JOIN coverage c ON c.recording_id = r.recording_id
    GROUP BY r.recording_id, r.host, r.start_ts, r.start_ns, r.end_ns, r.clean_end, r.end_reason
),
counts AS (
    SELECT recording_id, 'clone' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM clone GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'exec' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM exec GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'exit' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM exit GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'process' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM process GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'tcp_connect' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM tcp_connect GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'tcp_accept' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM tcp_accept GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'tcp_close' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM tcp_close GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'tcp_socket' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM tcp_socket GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'container' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM container GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'xdp_drop' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM xdp_drop GROUP BY recording_id
    UNION ALL
    SELECT recording_id, 'xdp_pass' AS name, count(*) AS row_count, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns FROM xdp_pass GROUP BY recording_id
),
covered AS (
    SELECT
        recording_id, coverage.table AS name, CAST(sum(events) AS BIGINT) AS events, CAST(sum(lost) AS BIGINT) AS lost,
        CAST(sum(CASE WHEN attached AND unwritten IS NULL THEN interval_ns ELSE 0 END) AS BIGINT) AS covered_ns
    FROM coverage
    GROUP BY recording_id, coverage.table
),
tables AS (
    SELECT recording_id, name FROM counts
    UNION
    SELECT recording_id, name FROM covered
)
SELECT
    w.host,
    w.start_ts AS started,
    round((w.end_ns - w.start_ns) / 1e9, 3) AS window_s,
    w.ended,
    t.name AS "table",
    coalesce(n.row_count, 0) AS rows,
    c.events,
    c.lost,
    round(c.covered_ns / 1e9, 3) AS covered_s,
    round((n.first_ns - w.start_ns) / 1e9, 3) AS first_s,
    round((n.last_ns - w.start_ns) / 1e9, 3) AS last_s,
    w.recording_id
FROM windows w
LEFT JOIN tables t ON t.recording_id = w.recording_id
LEFT JOIN counts n ON n.recording_id = t.recording_id AND n.name = t.name
LEFT JOIN covered c ON c.recording_id = t.recording_id AND c.name = t.name
ORDER BY w.start_ts, w.recording_id, t.name
