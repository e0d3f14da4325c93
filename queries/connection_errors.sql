-- Connection errors: connections that were broken off
--
-- Group: TCP
-- Question: Which established connections did an error break off, with whom, after how long, and how much had they carried?
-- Tables: tcp_close, recording
-- Columns:
--   times           BIGINT   -      connections that ended in this way
--   error           VARCHAR  -      name of the errno: ECONNRESET (reset by the peer), ETIMEDOUT (nothing came back), EPIPE, …
--   direction       VARCHAR  -      outbound: connected from here; inbound: accepted here; NULL when not known
--   daddr           VARCHAR  -      address of the peer; NULL when not known
--   port            INTEGER  -      port of the service: the peer's of outbound connections, the local one of inbound ones
--   pid             INTEGER  -      process that had opened or accepted them; NULL: none had yet, or it is not known
--   comm            VARCHAR  -      its name; NULL as above
--   ended           BIGINT   -      all connections between the two that ended, with an error or without
--   p50_life_ms     DOUBLE   ms     life that half of the broken ones did not exceed; NULL where they are older than the recording
--   silent          BIGINT   -      those of them that had received nothing
--   bytes_sent      BIGINT   bytes  data sent on them
--   bytes_received  BIGINT   bytes  data received on them
--   first_s         DOUBLE   s      first of them, from the start of the recording
--   last_s          DOUBLE   s      last of them
--   start_ns        BIGINT   ns     birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id    VARCHAR  -      recording
-- Parameters: none
-- Caveats: A connection that this side reset itself has no error here. Connects that failed are in connect_failures.
WITH ends AS (
    SELECT
        recording_id, ts_ns, errno, direction, daddr, CASE WHEN direction = 'inbound' THEN sport ELSE dport END AS port, pid, comm, start_ns, duration_ns,
        bytes_sent, bytes_received
    FROM tcp_close
),
counted AS (
    SELECT
        recording_id, ts_ns, errno, direction, daddr, port, pid, comm, start_ns, duration_ns, bytes_sent, bytes_received,
        count(*) OVER (PARTITION BY recording_id, direction, daddr, port, pid, start_ns, comm) AS ended
    FROM ends
)
SELECT
    count(*) AS times,
    errno_name(c.errno) AS error,
    c.direction,
    c.daddr,
    c.port,
    c.pid,
    c.comm,
    c.ended,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY c.duration_ns) / 1e6, 3) AS p50_life_ms,
    CAST(sum(CASE WHEN c.bytes_received = 0 THEN 1 ELSE 0 END) AS BIGINT) AS silent,
    CAST(sum(c.bytes_sent) AS BIGINT) AS bytes_sent,
    CAST(sum(c.bytes_received) AS BIGINT) AS bytes_received,
    round((min(c.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(c.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    c.start_ns,
    c.recording_id
FROM counted c
LEFT JOIN recording r ON r.recording_id = c.recording_id
WHERE c.errno IS NOT NULL
GROUP BY c.recording_id, r.start_ns, c.errno, c.direction, c.daddr, c.port, c.pid, c.comm, c.start_ns, c.ended
ORDER BY c.recording_id, times DESC, first_s, c.errno, c.direction, c.daddr, c.port, c.pid, c.start_ns, c.comm
