-- Losses: when what was not recorded
--
-- Group: Recording
-- Question: When were events lost or tracers not attached, in which tables, and how many events are missing?
-- Tables: coverage, recording
-- Columns:
--   from_s        DOUBLE   s    begin of the time in which that was, from the start of the recording
--   to_s          DOUBLE   s    its end
--   table         VARCHAR  -    table that rows are missing in
--   what          VARCHAR  -    lost: events happened and are counted, but are not there; not attached: nobody knows what happened
--   lost          BIGINT   -    events that were lost; NULL where the tracer was not attached
--   events        BIGINT   -    events that were recorded in the same time
--   percent       DOUBLE   %    those lost, of both together; NULL where the tracer was not attached
--   peak          BIGINT   -    most events of a second that came then, lost or not: more of them than the ring and the writer could take; NULL where rows were lost that had been recorded
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: To the length of a coverage interval, a second as a rule. Probes that could not be attached at all are in probes, and what a filter left out is no loss.
WITH intervals AS (
    SELECT
        recording_id, coverage.table AS name, ts_ns, ts_ns + interval_ns AS until_ns, interval_ns, events, lost, unwritten,
        CASE WHEN NOT attached THEN 'not attached' WHEN lost > 0 THEN 'lost' ELSE 'recorded' END AS what
    FROM coverage
),
-- Neighbours of one kind have the same difference of their two numbers.
numbered AS (
    SELECT
        recording_id, name, ts_ns, until_ns, interval_ns, events, lost, unwritten, what,
        row_number() OVER (PARTITION BY recording_id, name ORDER BY ts_ns)
        - row_number() OVER (PARTITION BY recording_id, name, what ORDER BY ts_ns) AS run
    FROM intervals
)
SELECT
    round((min(n.ts_ns) - r.start_ns) / 1e9, 3) AS from_s,
    round((max(n.until_ns) - r.start_ns) / 1e9, 3) AS to_s,
    n.name AS "table",
    n.what,
    CAST(CASE WHEN n.what = 'lost' THEN sum(n.lost) END AS BIGINT) AS lost,
    CAST(sum(n.events) AS BIGINT) AS events,
    CASE WHEN n.what = 'lost' THEN round(100.0 * sum(n.lost) / sum(n.lost + n.events), 1) END AS percent,
    CAST(max(CASE WHEN n.unwritten IS NULL THEN floor((n.events + n.lost) * 1e9 / n.interval_ns) END) AS BIGINT) AS peak,
    n.recording_id
FROM numbered n
LEFT JOIN recording r ON r.recording_id = n.recording_id
WHERE n.what <> 'recorded'
GROUP BY n.recording_id, r.start_ns, n.name, n.what, n.run
ORDER BY n.recording_id, from_s, n.name
