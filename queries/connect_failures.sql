-- Connect failures: why, where to and by whom
--
-- Group: TCP
-- Question: Which connects failed, with which error, and how long did the process wait for it?
-- Tables: tcp_connect, recording
-- Columns:
--   failures      BIGINT   -    connects that failed in this way
--   error         VARCHAR  -    name of the errno; failed: errno not known; closed: given up by the process before it was decided
--   daddr         VARCHAR  -    address of the destination
--   dport         INTEGER  -    port of the destination
--   pid           INTEGER  -    process that called connect
--   comm          VARCHAR  -    its name
--   first_s       DOUBLE   s    first failure, from the start of the recording
--   last_s        DOUBLE   s    last failure, from the start of the recording
--   p50_wait_ms   DOUBLE   ms   from SYN to failure, that half of them did not exceed; NULL where no SYN went out, or before the recording
--   max_wait_ms   DOUBLE   ms   longest of these
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: Connects that were pending at the end of the recording are not here. A client that tries several addresses at once closes those that lose: then closed
--   is no fault. A process that changed its name has a row for each name.
WITH failures AS (
    SELECT
        recording_id, pid, start_ns, comm, daddr, dport, ts_ns, ts_ns - syn_ns AS wait_ns,
        CASE WHEN outcome = 'failed' THEN coalesce(errno_name(errno), 'failed') ELSE outcome END AS error
    FROM tcp_connect
    WHERE outcome IN ('failed', 'closed')
)
SELECT
    count(*) AS failures,
    f.error,
    f.daddr,
    f.dport,
    f.pid,
    f.comm,
    round((min(f.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(f.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY f.wait_ns) / 1e6, 3) AS p50_wait_ms,
    round(max(f.wait_ns) / 1e6, 3) AS max_wait_ms,
    f.start_ns,
    f.recording_id
FROM failures f
LEFT JOIN recording r ON r.recording_id = f.recording_id
GROUP BY f.recording_id, r.start_ns, f.error, f.daddr, f.dport, f.pid, f.start_ns, f.comm
ORDER BY f.recording_id, failures DESC, first_s, f.error, f.daddr, f.dport, f.pid, f.start_ns, f.comm
