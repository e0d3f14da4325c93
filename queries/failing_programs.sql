-- Failing programs: exit codes and signals, by program
--
-- Group: Processes
-- Question: Which programs fail, how, and how often?
-- Tables: exit, exec, process, recording
-- Columns:
--   program       VARCHAR    -    last program that the processes executed; their name, where they executed none
--   ended         VARCHAR    -    exit CODE, or the name of the signal
--   times         BIGINT     -    processes of the program that ended in this way
--   runs          BIGINT     -    processes of the program that ended at all
--   percent       DOUBLE     %    times of these runs
--   first_s       DOUBLE     s    first time, from the start of the recording
--   last_s        DOUBLE     s    last time, from the start of the recording
--   p50_life_ms   DOUBLE     ms   life that half of those that ended in this way did not exceed
--   last_argv     VARCHAR[]  -    arguments of the last that ended in this way; NULL where none were recorded
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: For some programs a code other than 0 is an answer, not a failure: grep, diff and test say 1 for no. A child that executed nothing, such as a subshell,
--   counts by its name.
WITH ends AS (
    SELECT
        e.recording_id, coalesce(l.filename, e.comm) AS program,
        CASE WHEN e.signal IS NULL THEN concat('exit ', e.exit_code) ELSE signal_name(e.signal) END AS ended,
        e.ts_ns, e.duration_ns, e.pid, l.argv
    FROM exit e
    LEFT JOIN process_command l ON l.recording_id = e.recording_id AND l.pid = e.pid AND l.start_ns = e.start_ns
),
numbered AS (
    SELECT
        recording_id, program, ended, ts_ns, duration_ns, argv,
        row_number() OVER (PARTITION BY recording_id, program, ended ORDER BY ts_ns DESC, pid) AS latest,
        count(*) OVER (PARTITION BY recording_id, program) AS runs
    FROM ends
)
SELECT
    n.program,
    n.ended,
    count(*) AS times,
    n.runs,
    round(100.0 * count(*) / n.runs, 1) AS percent,
    round((min(n.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(n.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY n.duration_ns) / 1e6, 3) AS p50_life_ms,
    max(CASE WHEN n.latest = 1 THEN n.argv END) AS last_argv,
    n.recording_id
FROM numbered n
LEFT JOIN recording r ON r.recording_id = n.recording_id
WHERE n.ended <> 'exit 0'
GROUP BY n.recording_id, r.start_ns, n.program, n.ended, n.runs
ORDER BY n.recording_id, times DESC, n.program, n.ended
