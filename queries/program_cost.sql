-- Program cost: what each BPF program took
--
-- Group: Recording
-- Question: How often did each BPF program run, how long did a run take, and what was that of a CPU?
-- Tables: cost
-- Bars: total_ms
-- Columns:
--   program       VARCHAR  -    name of the BPF program
--   runs          BIGINT   -    how often it ran
--   ns_a_run      DOUBLE   ns   mean time of a run; NULL: it never ran
--   total_ms      DOUBLE   ms   all of them together
--   percent       DOUBLE   %    of that, of what all programs took
--   cpu_percent   DOUBLE   %    of one CPU, for as long as it was counted
--   peak_percent  DOUBLE   %    the same in the interval where it was most
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: The kernel counts each run, some 50 ns of its own counting included; where it does not allow that, there is no row.
WITH programs AS (
    SELECT
        recording_id, program, sum(run_count) AS runs, sum(run_time_ns) AS run_time_ns, sum(interval_ns) AS counted_ns,
        max(1.0 * run_time_ns / interval_ns) AS peak
    FROM cost
    WHERE program IS NOT NULL
    GROUP BY recording_id, program
)
SELECT
    program,
    CAST(runs AS BIGINT) AS runs,
    round(run_time_ns / nullif(runs, 0), 1) AS ns_a_run,
    round(run_time_ns / 1e6, 3) AS total_ms,
    round(100.0 * run_time_ns / nullif(sum(run_time_ns) OVER (PARTITION BY recording_id), 0), 1) AS percent,
    round(100.0 * run_time_ns / counted_ns, 4) AS cpu_percent,
    round(100.0 * peak, 4) AS peak_percent,
    recording_id
FROM programs
ORDER BY recording_id, run_time_ns DESC, program
