-- Event rate: how much happened, second by second
--
-- Group: Recording
-- Question: How many events came in each second, in which tables, and how much data was that in the rings?
-- Tables: coverage, recording
-- Bars: events
-- Columns:
--   at_s          DOUBLE   s      begin of the interval, from the start of the recording; negative while probes were being attached
--   table         VARCHAR  -      table of the recording
--   events        BIGINT   -      events that were recorded
--   per_second    DOUBLE   -      the same, for a second
--   lost          BIGINT   -      events that happened and are not in the recording
--   bytes         BIGINT   bytes  size of those that were recorded, in the ring
--   recording_id  VARCHAR  -      recording
-- Parameters: none
-- Caveats: By the kernel's own count. Intervals are a second as a rule, longer when the recorder did not run; those without an event are left out. Rows that were counted, and lost later, are in losses.
SELECT
    round((c.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    c.table AS "table",
    c.events,
    round(c.events * 1e9 / c.interval_ns, 1) AS per_second,
    c.lost,
    c.bytes,
    c.recording_id
FROM coverage c
LEFT JOIN recording r ON r.recording_id = c.recording_id
WHERE (c.events > 0 OR c.lost > 0) AND c.unwritten IS NULL
ORDER BY c.recording_id, c.ts_ns, c.table
