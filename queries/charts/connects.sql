-- Connects by time, latency and result, in as many parts as fit a chart
--
-- Group: TCP
-- Question: When were connects made, what came of them, and how long did that take?
-- Tables: tcp_connect, recording
-- Columns:
--   from_s        DOUBLE   s   begin of the part of time, from the start of the recording
--   to_s          DOUBLE   s   its end
--   outcome       VARCHAR  -   connected, failed, closed (by the process, before it was decided) or pending
--   from_ms       DOUBLE   ms  shortest time from SYN to outcome in this row; NULL where no SYN went out, or none is known
--   below_ms      DOUBLE   ms  longer ones are in the next row
--   connects      BIGINT   -   connects that took as long
--   recording_id  VARCHAR  -   recording
-- Parameters:
--   parts  BIGINT  120  parts that the time of a recording is cut into
-- Caveats: A connect counts at the time of its SYN, or of its outcome where no SYN is known. Times are told apart by half a power of 2.
WITH attempts AS (
    SELECT
        t.recording_id, t.outcome, greatest(0, coalesce(t.syn_ns, t.ts_ns) - r.start_ns) AS since_ns,
        CASE WHEN t.outcome <> 'pending' THEN greatest(1000, coalesce(t.latency_ns, t.ts_ns - t.syn_ns)) END AS took_ns
    FROM tcp_connect t
    JOIN recording r ON r.recording_id = t.recording_id
),
sized AS (
    SELECT
        recording_id, outcome, since_ns, CAST(floor(2 * log2(took_ns / 1e3)) AS BIGINT) AS step,
        CAST(greatest(1, ceil((max(since_ns) OVER (PARTITION BY recording_id) + 1) / $parts)) AS BIGINT) AS part_ns
    FROM attempts
),
counted AS (
    SELECT recording_id, outcome, step, part_ns, CAST(floor(since_ns / part_ns) AS BIGINT) AS part, count(*) AS connects
    FROM sized
    GROUP BY recording_id, outcome, step, part_ns, CAST(floor(since_ns / part_ns) AS BIGINT)
)
SELECT
    round(part * part_ns / 1e9, 3) AS from_s,
    round((part + 1) * part_ns / 1e9, 3) AS to_s,
    outcome,
    round(power(2, step / 2) / 1e3, 4) AS from_ms,
    round(power(2, (step + 1) / 2) / 1e3, 4) AS below_ms,
    connects,
    recording_id
FROM counted
ORDER BY recording_id, part, outcome, step
