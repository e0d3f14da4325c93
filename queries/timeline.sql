-- Timeline: what happened on all hosts, in one order, and where that order is not sure
--
-- Group: Processes
-- Question: What happened on these hosts, one thing after the other, and which of it may have been in another order?
-- Tables: exec, exit, tcp_connect, tcp_accept, tcp_close, recording
-- Optional: tcp_connect, tcp_accept, tcp_close
-- Columns:
--   at_s          DOUBLE   s  when, from the start of the first recording on the same time line
--   host          VARCHAR  -  host that it happened on
--   event         VARCHAR  -  table of the recording that has it
--   pid           INTEGER  -  process that did it; NULL: not known
--   comm          VARCHAR  -  its name then
--   detail        VARCHAR  -  what: the program, the peer and what came of it, the exit code or signal
--   undecided     BIGINT   -  rows of other hosts here that may have been before it as well as after it
--   recording_id  VARCHAR  -  recording
-- Parameters:
--   from_s  DOUBLE  0     seconds from the start of the first recording
--   to_s    DOUBLE  1e12  up to then
-- Caveats: Recordings have one time line where they were merged; each of the others begins at its own start. Two rows are undecided where they are closer to
--   each other than the two clocks that are known worst. Rows of one host are in the order of its own clock.
WITH ranked AS (
    SELECT
        recording_id, host, timeline_id, start_ns, bound_ns, row_number() OVER (PARTITION BY timeline_id ORDER BY bound_ns DESC, recording_id) AS place
    FROM recording
),
places AS (
    SELECT
        recording_id, host, timeline_id, min(start_ns) OVER (PARTITION BY timeline_id) AS first_ns,
        CAST(sum(CASE WHEN place <= 2 THEN bound_ns ELSE 0 END) OVER (PARTITION BY timeline_id) AS BIGINT) AS apart_ns
    FROM ranked
),
events AS (
    SELECT recording_id, ts_ns, 1 AS step, 'exec' AS event, pid, comm, filename AS detail FROM exec
    UNION ALL
    SELECT
        recording_id, ts_ns, 2 AS step, 'exit' AS event, pid, comm,
        CASE WHEN signal IS NOT NULL THEN signal_name(signal) ELSE concat('code ', exit_code) END AS detail
    FROM exit
    UNION ALL
    SELECT
        recording_id, ts_ns, 3 AS step, 'tcp_connect' AS event, pid, comm,
        concat(
            CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END, ' ',
            CASE WHEN outcome = 'failed' THEN coalesce(errno_name(errno), 'failed') ELSE outcome END
        ) AS detail
    FROM tcp_connect
    UNION ALL
    SELECT
        recording_id, ts_ns, 4 AS step, 'tcp_accept' AS event, pid, comm,
        concat('port ', sport, ' from ', CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END) AS detail
    FROM tcp_accept
    UNION ALL
    SELECT
        recording_id, ts_ns, 5 AS step, 'tcp_close' AS event, pid, comm,
        concat(
            CASE WHEN family = 6 THEN concat('[', daddr, ']:', dport) ELSE concat(daddr, ':', dport) END,
            CASE WHEN errno IS NOT NULL THEN concat(' ', errno_name(errno)) ELSE '' END
        ) AS detail
    FROM tcp_close
),
placed AS (
    SELECT
        e.recording_id, e.ts_ns, e.step, e.event, e.pid, e.comm, e.detail, p.host, coalesce(p.timeline_id, e.recording_id) AS timeline_id,
        coalesce(p.first_ns, 0) AS first_ns, coalesce(p.apart_ns, 0) AS apart_ns
    FROM events e
    LEFT JOIN places p ON p.recording_id = e.recording_id
),
-- As many as are so close on the time line, without those of its own recording.
near AS (
    SELECT
        recording_id, ts_ns, step, event, pid, comm, detail, host, timeline_id, first_ns,
        count(*) OVER (PARTITION BY timeline_id ORDER BY ts_ns RANGE BETWEEN apart_ns PRECEDING AND apart_ns FOLLOWING) AS close,
        count(*) OVER (PARTITION BY timeline_id, recording_id ORDER BY ts_ns RANGE BETWEEN apart_ns PRECEDING AND apart_ns FOLLOWING) AS close_own
    FROM placed
)
SELECT
    round((ts_ns - first_ns) / 1e9, 6) AS at_s,
    host,
    event,
    pid,
    comm,
    detail,
    CAST(close - close_own AS BIGINT) AS undecided,
    recording_id
FROM near
WHERE ts_ns - first_ns >= $from_s * 1e9 AND ts_ns - first_ns < $to_s * 1e9
ORDER BY timeline_id, ts_ns, step, pid, detail, comm, recording_id
