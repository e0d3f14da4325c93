-- Failures over time: processes and connects
--
-- Group: Recording
-- Question: When did processes end badly and connects fail, and how?
-- Tables: exit, tcp_connect, recording
-- Columns:
--   from_s        DOUBLE   s  begin of the part of time, from the start of the recording
--   to_s          DOUBLE   s  its end
--   kind          VARCHAR  -  process or connect
--   failure       VARCHAR  -  exit CODE or the name of a signal; the name of an errno, or closed; others: all but the most frequent
--   failures      BIGINT   -  how many there were
--   recording_id  VARCHAR  -  recording
-- Parameters:
--   parts  BIGINT  120  parts that the time of a recording is cut into
--   most   BIGINT  4    most kinds of failure of each sort that are told apart
-- Caveats: A connect counts at the time of its outcome. A code other than 0 is not always a failure: grep exits with 1 when it finds nothing.
WITH failed AS (
    SELECT
        e.recording_id, 'process' AS kind, e.ts_ns, CASE WHEN e.signal IS NULL THEN concat('exit ', e.exit_code) ELSE signal_name(e.signal) END AS failure
    FROM exit e
    WHERE e.signal IS NOT NULL OR e.exit_code <> 0
    UNION ALL
    SELECT t.recording_id, 'connect' AS kind, t.ts_ns, CASE WHEN t.outcome = 'failed' THEN coalesce(errno_name(t.errno), 'failed') ELSE t.outcome END AS failure
    FROM tcp_connect t
    WHERE t.outcome IN ('failed', 'closed')
),
totals AS (
    SELECT
        recording_id, kind, failure,
        row_number() OVER (PARTITION BY recording_id, kind ORDER BY count(*) DESC, failure) AS place
    FROM failed
    GROUP BY recording_id, kind, failure
),
timed AS (
    SELECT
        f.recording_id, f.kind, CASE WHEN t.place <= $most THEN f.failure ELSE 'others' END AS failure, greatest(0, f.ts_ns - r.start_ns) AS since_ns,
        CAST(greatest(1, ceil((max(greatest(0, f.ts_ns - r.start_ns)) OVER (PARTITION BY f.recording_id) + 1) / $parts)) AS BIGINT) AS part_ns
    FROM failed f
    JOIN totals t ON t.recording_id = f.recording_id AND t.kind = f.kind AND t.failure = f.failure
    JOIN recording r ON r.recording_id = f.recording_id
)
SELECT
    round(CAST(floor(since_ns / part_ns) AS BIGINT) * part_ns / 1e9, 3) AS from_s,
    round((CAST(floor(since_ns / part_ns) AS BIGINT) + 1) * part_ns / 1e9, 3) AS to_s,
    kind,
    failure,
    count(*) AS failures,
    recording_id
FROM timed
GROUP BY recording_id, part_ns, CAST(floor(since_ns / part_ns) AS BIGINT), kind, failure
ORDER BY recording_id, from_s, kind, failure
