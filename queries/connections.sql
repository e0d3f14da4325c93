-- Connections: the life of each, from its opening to its end
--
-- Group: TCP
-- Question: Which TCP connections were there, who opened them, what did they carry, and how did they end?
-- Tables: tcp_connect, tcp_accept, tcp_socket, tcp_close, recording
-- Columns:
--   opened_s        DOUBLE   s      when it was ESTABLISHED, from the start of the recording; NULL: before it, or not known
--   closed_s        DOUBLE   s      its end, from the start of the recording; NULL when none was seen
--   duration_ms     DOUBLE   ms     from ESTABLISHED to its end; NULL where either is
--   direction       VARCHAR  -      outbound: it was connected from here; inbound: it was accepted here; NULL when not known
--   pid             INTEGER  -      process that connected or accepted, else one that held it; NULL when not known
--   comm            VARCHAR  -      its name
--   saddr           VARCHAR  -      local address
--   sport           INTEGER  -      local port
--   daddr           VARCHAR  -      address of the peer
--   dport           INTEGER  -      port of the peer
--   bytes_sent      BIGINT   bytes  data sent, retransmissions not among them; NULL while open
--   bytes_received  BIGINT   bytes  data received; NULL while open
--   retransmits     BIGINT   -      segments sent again; NULL while open
--   srtt_ms         DOUBLE   ms     smoothed round-trip time at its end; NULL when none was measured
--   ended           VARCHAR  -      closed, the name of the errno that broke it off, or still open
--   net_ns          BIGINT   -      net namespace that this end is in
--   start_ns        BIGINT   ns     birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id    VARCHAR  -      recording
-- Parameters: none
-- Caveats: Where both ends are on this machine, each is a row. still open means that no end was seen: where ends were lost, it may be closed. Attempts that did not
--   connect are in tcp_connects, and connections that were closed before they were accepted have no process.
WITH steps AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 1 AS step, 'outbound' AS direction, pid, comm, start_ns, ts_ns AS opened_ns,
        CAST(NULL AS BIGINT) AS duration_ns, CAST(NULL AS BIGINT) AS bytes_sent, CAST(NULL AS BIGINT) AS bytes_received,
        CAST(NULL AS BIGINT) AS retransmits, CAST(NULL AS BIGINT) AS srtt_us, CAST(NULL AS INTEGER) AS errno
    FROM tcp_connect
    WHERE outcome = 'connected'
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns - coalesce(queued_ns, 0) AS at_ns, 2 AS step, 'inbound' AS direction, pid, comm, start_ns,
        ts_ns - queued_ns AS opened_ns, NULL AS duration_ns, NULL AS bytes_sent, NULL AS bytes_received, NULL AS retransmits, NULL AS srtt_us, NULL AS errno
    FROM tcp_accept
    WHERE NOT is_closed
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 3 AS step, direction, pid, comm, start_ns,
        NULL AS opened_ns, NULL AS duration_ns, NULL AS bytes_sent, NULL AS bytes_received, NULL AS retransmits, NULL AS srtt_us, NULL AS errno
    FROM tcp_socket
    WHERE state NOT IN ('listen', 'syn_sent', 'syn_recv', 'time_wait', 'close')
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, ts_ns AS at_ns, 4 AS step, direction, pid, comm, start_ns,
        ts_ns - duration_ns AS opened_ns, duration_ns, bytes_sent, bytes_received, retransmits, srtt_us, errno
    FROM tcp_close
),
-- A connect or an accept opens a connection. A socket that was there at the start is one only where nothing before it opened it: the probes are attached
-- a moment before the sockets are listed. Its accept may follow. An end without an opening is a connection, too.
marked AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, at_ns, step, direction, pid, comm, start_ns, opened_ns,
        duration_ns, bytes_sent, bytes_received, retransmits, srtt_us, errno,
        coalesce(lag(step) OVER ends, 4) AS before, coalesce(lag(step, 2) OVER ends, 4) AS before_that
    FROM steps
    WINDOW ends AS (PARTITION BY recording_id, net_ns, saddr, sport, daddr, dport ORDER BY at_ns, step, pid)
),
-- The same ends may be used again: all up to the next opening is one connection.
numbered AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, at_ns, step, direction, pid, comm, start_ns, opened_ns,
        duration_ns, bytes_sent, bytes_received, retransmits, srtt_us, errno,
        sum(CASE WHEN step = 1 OR (step = 2 AND NOT (before = 3 AND before_that = 4)) OR (step >= 3 AND before = 4) THEN 1 ELSE 0 END) OVER (
            PARTITION BY recording_id, net_ns, saddr, sport, daddr, dport ORDER BY at_ns, step, pid ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM marked
),
connections AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, number, max(direction) AS direction,
        coalesce(max(CASE WHEN step <= 2 THEN pid END), max(CASE WHEN step = 3 THEN pid END), max(pid)) AS pid,
        coalesce(max(CASE WHEN step <= 2 THEN comm END), max(CASE WHEN step = 3 THEN comm END), max(comm)) AS comm,
        coalesce(max(CASE WHEN step <= 2 THEN start_ns END), max(CASE WHEN step = 3 THEN start_ns END), max(start_ns)) AS start_ns,
        max(opened_ns) AS opened_ns, max(CASE WHEN step = 4 THEN at_ns END) AS closed_ns, max(duration_ns) AS duration_ns,
        max(bytes_sent) AS bytes_sent, max(bytes_received) AS bytes_received, max(retransmits) AS retransmits, max(srtt_us) AS srtt_us, max(errno) AS errno
    FROM numbered
    GROUP BY recording_id, net_ns, saddr, sport, daddr, dport, number
)
SELECT
    round((c.opened_ns - r.start_ns) / 1e9, 3) AS opened_s,
    round((c.closed_ns - r.start_ns) / 1e9, 3) AS closed_s,
    round(c.duration_ns / 1e6, 3) AS duration_ms,
    c.direction,
    c.pid,
    c.comm,
    c.saddr,
    c.sport,
    c.daddr,
    c.dport,
    c.bytes_sent,
    c.bytes_received,
    c.retransmits,
    round(c.srtt_us / 1e3, 3) AS srtt_ms,
    CASE WHEN c.closed_ns IS NULL THEN 'still open' ELSE coalesce(errno_name(c.errno), 'closed') END AS ended,
    c.net_ns,
    c.start_ns,
    c.recording_id
FROM connections c
LEFT JOIN recording r ON r.recording_id = c.recording_id
ORDER BY c.recording_id, c.opened_ns NULLS FIRST, c.closed_ns, c.saddr, c.sport, c.daddr, c.dport, c.net_ns, c.number
