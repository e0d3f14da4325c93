-- Accepts: who took which inbound connection, and how long it waited
--
-- Group: TCP
-- Question: Which processes accepted connections from whom, and how long did these wait to be accepted?
-- Tables: tcp_accept, recording
-- Columns:
--   at_s          DOUBLE   s    when it was accepted, from the start of the recording
--   pid           INTEGER  -    process that accepted it
--   comm          VARCHAR  -    its name
--   saddr         VARCHAR  -    local address
--   sport         INTEGER  -    local port
--   daddr         VARCHAR  -    address of the client
--   dport         INTEGER  -    port of the client
--   queued_ms     DOUBLE   ms   from ESTABLISHED to accept; NULL when not known
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Connections that are accepted through io_uring are not here; their end is in connections.
SELECT
    round((t.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    t.pid,
    t.comm,
    t.saddr,
    t.sport,
    t.daddr,
    t.dport,
    round(t.queued_ns / 1e6, 3) AS queued_ms,
    t.start_ns,
    t.recording_id
FROM tcp_accept t
LEFT JOIN recording r ON r.recording_id = t.recording_id
ORDER BY t.recording_id, t.ts_ns, t.pid, t.start_ns, t.tid, t.daddr, t.dport, t.saddr, t.sport, t.net_ns
