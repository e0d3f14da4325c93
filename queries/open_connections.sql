-- Open connections: what was still there at the end
--
-- Group: TCP
-- Question: Which processes still had connections open when the recording ended, how many, with whom, and since when?
-- Tables: tcp_connect, tcp_accept, tcp_socket, tcp_close, recording
-- Columns:
--   open          BIGINT   -    connections that were open
--   pid           INTEGER  -    process that connected or accepted them, else one that held them; NULL when not known
--   comm          VARCHAR  -    its name; NULL as above
--   direction     VARCHAR  -    outbound: it connected; inbound: it accepted
--   daddr         VARCHAR  -    address of the peer
--   port          INTEGER  -    port of the service: the peer's of outbound connections, the local one of inbound ones
--   from_before   BIGINT   -    those of them that were there when the recording began
--   oldest_s      DOUBLE   s    when the first of the others was established, from the start of the recording; NULL without others
--   newest_s      DOUBLE   s    when the last of them was; NULL as above
--   half_closed   BIGINT   -    those from before that one side had closed then: close_wait means that the peer did, and the process has not noticed
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Open means that no end was seen: where ends were lost, or the recording is unfinished, a connection may be closed. Each end on this machine counts.
WITH steps AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 1 AS step, 'outbound' AS direction, pid, comm, start_ns, ts_ns AS opened_ns,
        0 AS from_before, 0 AS half_closed
    FROM tcp_connect
    WHERE outcome = 'connected'
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns - coalesce(queued_ns, 0) AS at_ns, 2 AS step, 'inbound' AS direction, pid, comm, start_ns,
        ts_ns - queued_ns AS opened_ns, CASE WHEN queued_ns IS NULL THEN 1 ELSE 0 END AS from_before, 0 AS half_closed
    FROM tcp_accept
    WHERE NOT is_closed
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 0 AS step, direction, pid, comm, start_ns, NULL AS opened_ns, 1 AS from_before,
        CASE WHEN state <> 'established' THEN 1 ELSE 0 END AS half_closed
    FROM tcp_socket
    WHERE state NOT IN ('listen', 'syn_sent', 'syn_recv', 'time_wait', 'close')
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 3 AS step, direction, pid, comm, start_ns, NULL AS opened_ns, 0 AS from_before,
        0 AS half_closed
    FROM tcp_close
),
-- The same ends may be used again: what was seen last tells. A socket that was listed at the start may have connected a moment before: then that names its process.
latest AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, step, direction, pid, comm, start_ns, opened_ns, from_before, half_closed,
        row_number() OVER (
            PARTITION BY recording_id, net_ns, saddr, sport, daddr, dport ORDER BY CASE WHEN step = 0 THEN 0 ELSE 1 END DESC, at_ns DESC, step DESC, pid
        ) AS number
    FROM steps
),
ends AS (
    SELECT
        recording_id, direction, pid, comm, start_ns, daddr, CASE WHEN direction = 'inbound' THEN sport ELSE dport END AS port, opened_ns, from_before,
        half_closed
    FROM latest
    WHERE number = 1 AND step < 3
)
SELECT
    count(*) AS open,
    e.pid,
    e.comm,
    e.direction,
    e.daddr,
    e.port,
    CAST(sum(e.from_before) AS BIGINT) AS from_before,
    round((min(e.opened_ns) - r.start_ns) / 1e9, 3) AS oldest_s,
    round((max(e.opened_ns) - r.start_ns) / 1e9, 3) AS newest_s,
    CAST(sum(e.half_closed) AS BIGINT) AS half_closed,
    e.start_ns,
    e.recording_id
FROM ends e
LEFT JOIN recording r ON r.recording_id = e.recording_id
GROUP BY e.recording_id, r.start_ns, e.pid, e.start_ns, e.comm, e.direction, e.daddr, e.port
ORDER BY e.recording_id, open DESC, e.pid, e.start_ns, e.comm, e.direction, e.daddr, e.port
