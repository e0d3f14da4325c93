-- TCP connects: every attempt, with its latency or why it failed
--
-- Group: TCP
-- Question: Which processes connected where, how long did it take, and what came of it?
-- Tables: tcp_connect, recording
-- Columns:
--   at_s          DOUBLE   s    when it was decided, from the start of the recording
--   pid           INTEGER  -    process that called connect
--   comm          VARCHAR  -    its name
--   saddr         VARCHAR  -    local address; NULL when none was assigned
--   sport         INTEGER  -    local port; NULL as above
--   daddr         VARCHAR  -    address of the peer
--   dport         INTEGER  -    port of the peer
--   latency_ms    DOUBLE   ms   from SYN to ESTABLISHED; NULL unless connected
--   result        VARCHAR  -    connected, the name of the errno, failed (errno not known), closed (by the process, undecided), pending (undecided at the end)
--   options       VARCHAR  -    fastopen, mptcp or both; NULL: neither
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: A connect that the kernel refused before any SYN (no route, no free port) has no latency, and may have no local address. Which interface a link-local
--   address belongs to is in tcp_connect.scope_id.
SELECT
    round((t.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    t.pid,
    t.comm,
    t.saddr,
    t.sport,
    t.daddr,
    t.dport,
    round(t.latency_ns / 1e6, 3) AS latency_ms,
    CASE WHEN t.outcome = 'failed' THEN coalesce(errno_name(t.errno), 'failed') ELSE t.outcome END AS result,
    CASE WHEN t.is_fastopen AND t.is_mptcp THEN 'fastopen, mptcp' WHEN t.is_fastopen THEN 'fastopen' WHEN t.is_mptcp THEN 'mptcp' END AS options,
    t.start_ns,
    t.recording_id
FROM tcp_connect t
LEFT JOIN recording r ON r.recording_id = t.recording_id
ORDER BY t.recording_id, t.ts_ns, t.pid, t.start_ns, t.tid, t.daddr, t.dport, t.saddr, t.sport, t.net_ns
