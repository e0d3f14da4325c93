-- Egress: which programs reach out of the machine
--
-- Group: TCP
-- Question: Which programs connect to addresses out there, as which user, how often, and how much do they send?
-- Tables: tcp_connect, tcp_close, exec, process, recording
-- Optional: exec, process
-- Columns:
--   program         VARCHAR  -      last program that the process had executed before; its name, where that is not known
--   uid             INTEGER  -      real user id of the process
--   daddr           VARCHAR  -      address of the peer
--   dport           INTEGER  -      port of the peer
--   connects        BIGINT   -      connects that were tried
--   failed          BIGINT   -      those of them that failed
--   processes       BIGINT   -      processes that tried
--   bytes_sent      BIGINT   bytes  data sent on outbound connections that ended, also on those from before the recording
--   bytes_received  BIGINT   bytes  data received on these
--   first_s         DOUBLE   s      first connect or end, from the start of the recording
--   last_s          DOUBLE   s      last one
--   recording_id    VARCHAR  -      recording
-- Parameters:
--   scope  VARCHAR  global  what the peer's address is: loopback, private, link_local or global; all: any address
-- Caveats: What is sent on a connection is known when it ends: one still open counts as a connect only. Other protocols than TCP are not recorded.
WITH programs AS (
    SELECT recording_id, pid, start_ns, filename AS program, ts_ns FROM exec
    UNION ALL
    SELECT recording_id, pid, start_ns, exe AS program, 0 AS ts_ns FROM process
),
spans AS (
    SELECT
        recording_id, pid, start_ns, program, ts_ns AS from_ns,
        coalesce(lead(ts_ns) OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns, program), 9223372036854775807) AS until_ns
    FROM programs
),
events AS (
    SELECT
        recording_id, ts_ns, coalesce(syn_ns, ts_ns) AS at_ns, pid, start_ns, comm, uid, daddr, dport, daddr_scope, 1 AS connects,
        CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END AS failed, 0 AS bytes_sent, 0 AS bytes_received
    FROM tcp_connect
    UNION ALL
    SELECT
        recording_id, ts_ns, ts_ns - coalesce(duration_ns, 0) AS at_ns, pid, start_ns, comm, uid, daddr, dport, daddr_scope, 0 AS connects, 0 AS failed,
        bytes_sent, bytes_received
    FROM tcp_close
    WHERE direction = 'outbound'
),
-- By process first: counting different processes among all events would take longer than all the rest.
by_process AS (
    SELECT
        e.recording_id, coalesce(s.program, e.comm) AS program, e.uid, e.daddr, e.dport, e.pid, e.start_ns, sum(e.connects) AS connects,
        sum(e.failed) AS failed, sum(e.bytes_sent) AS bytes_sent, sum(e.bytes_received) AS bytes_received, min(e.ts_ns) AS first_ns, max(e.ts_ns) AS last_ns
    FROM events e
    LEFT JOIN spans s ON s.recording_id = e.recording_id AND s.pid = e.pid AND s.start_ns = e.start_ns AND e.at_ns >= s.from_ns AND e.at_ns < s.until_ns
    WHERE CAST($scope AS VARCHAR) IN ('all', e.daddr_scope)
    GROUP BY e.recording_id, coalesce(s.program, e.comm), e.uid, e.daddr, e.dport, e.pid, e.start_ns
)
SELECT
    b.program,
    b.uid,
    b.daddr,
    b.dport,
    CAST(sum(b.connects) AS BIGINT) AS connects,
    CAST(sum(b.failed) AS BIGINT) AS failed,
    count(b.pid) AS processes,
    CAST(sum(b.bytes_sent) AS BIGINT) AS bytes_sent,
    CAST(sum(b.bytes_received) AS BIGINT) AS bytes_received,
    round((min(b.first_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(b.last_ns) - r.start_ns) / 1e9, 3) AS last_s,
    b.recording_id
FROM by_process b
LEFT JOIN recording r ON r.recording_id = b.recording_id
GROUP BY b.recording_id, r.start_ns, b.program, b.uid, b.daddr, b.dport
ORDER BY b.recording_id, bytes_sent DESC, connects DESC, b.program, b.uid, b.daddr, b.dport
