-- Events over time, in as many parts as fit a chart
--
-- Group: Recording
-- Question: How many events came when, in which tables?
-- Tables: coverage, recording
-- Columns:
--   table         VARCHAR  -  table of the recording
--   from_s        DOUBLE   s  begin of the part, from the start of the recording
--   to_s          DOUBLE   s  its end
--   events        BIGINT   -  events that were recorded in it
--   per_second    DOUBLE   -  the same, for a second
--   lost          BIGINT   -  events that happened and are not in the recording
--   recording_id  VARCHAR  -  recording
-- Parameters:
--   parts  BIGINT  120  most parts that the recording is cut into; none is shorter than a second
-- Caveats: By the kernel's own count, to the length of a coverage interval. Parts without an event are left out.
WITH sizes AS (
    SELECT
        r.recording_id, r.start_ns,
        CAST(greatest(1, ceil((max(c.ts_ns + c.interval_ns) - r.start_ns) / 1e9 / $parts)) AS BIGINT) * 1000000000 AS part_ns
    FROM recording r
    JOIN coverage c ON c.recording_id = r.recording_id
    GROUP BY r.recording_id, r.start_ns
),
counted AS (
    SELECT
        c.recording_id, c.table AS name, s.part_ns, CAST(floor((c.ts_ns - s.start_ns) / s.part_ns) AS BIGINT) AS part,
        CAST(sum(c.events) AS BIGINT) AS events, CAST(sum(c.lost) AS BIGINT) AS lost
    FROM coverage c
    JOIN sizes s ON s.recording_id = c.recording_id
    WHERE c.unwritten IS NULL
    GROUP BY c.recording_id, c.table, s.part_ns, CAST(floor((c.ts_ns - s.start_ns) / s.part_ns) AS BIGINT)
)
SELECT
    name AS "table",
    round(part * part_ns / 1e9, 3) AS from_s,
    round((part + 1) * part_ns / 1e9, 3) AS to_s,
    events,
    round(events * 1e9 / part_ns, 1) AS per_second,
    lost,
    recording_id
FROM counted
WHERE events > 0 OR lost > 0
ORDER BY recording_id, name, part
