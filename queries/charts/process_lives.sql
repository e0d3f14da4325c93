-- Lives of processes: the longest of those that were born or ended meanwhile
--
-- Group: Processes
-- Question: Which processes began or ended during the recording, and which of these lived longest in it?
-- Tables: clone, exec, exit, process, coverage, recording
-- Columns:
--   pid           INTEGER    -  process id in the initial pid namespace
--   comm          VARCHAR    -  last name of the process that was seen
--   argv          VARCHAR[]  -  arguments of the last program that it executed, or had when the recording began; NULL where none is known
--   from_s        DOUBLE     s  birth, from the start of the recording, or 0 for those that were there before
--   to_s          DOUBLE     s  its end, or that of the recording when no end was seen
--   life_s        DOUBLE     s  from birth to end; NULL when no end was seen
--   ended         VARCHAR    -  exit CODE, name of the signal, or no end seen
--   how           VARCHAR    -  ok: code 0; failed: another code; killed: a signal; running: no end seen
--   processes     BIGINT     -  all that began or ended during the recording, those that are not here among them
--   start_ns      BIGINT     ns  birth, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR    -  recording
-- Parameters:
--   most  BIGINT  80  most processes of a recording
-- Caveats: Processes that were there all the time are not here. Where births or ends were lost, processes look longer or shorter than they were.
WITH windows AS (
    SELECT r.recording_id, r.start_ns AS begin_ns, coalesce(r.end_ns, max(c.ts_ns + c.interval_ns), r.start_ns) AS end_ns
    FROM recording r
    LEFT JOIN coverage c ON c.recording_id = r.recording_id
    GROUP BY r.recording_id, r.start_ns, r.end_ns
),
seen AS (
    SELECT
        recording_id, child_pid AS pid, child_start_ns AS start_ns, ts_ns, 1 AS step, comm, NULL AS argv, 1 AS born, NULL AS ended_ns, NULL AS ended, NULL AS how
    FROM clone
    WHERE NOT is_thread
    UNION ALL
    SELECT recording_id, pid, start_ns, ts_ns, 2 AS step, comm, cmdline AS argv, 0 AS born, NULL AS ended_ns, NULL AS ended, NULL AS how FROM process
    UNION ALL
    SELECT recording_id, pid, start_ns, ts_ns, 3 AS step, comm, argv, 0 AS born, NULL AS ended_ns, NULL AS ended, NULL AS how FROM exec
    UNION ALL
    SELECT
        recording_id, pid, start_ns, ts_ns, 4 AS step, comm, NULL AS argv, 0 AS born, ts_ns AS ended_ns,
        CASE WHEN signal IS NULL THEN concat('exit ', exit_code) ELSE signal_name(signal) END AS ended,
        CASE WHEN signal IS NOT NULL THEN 'killed' WHEN exit_code <> 0 THEN 'failed' ELSE 'ok' END AS how
    FROM exit
),
ordered AS (
    SELECT
        recording_id, pid, start_ns, born, ended_ns, ended, how,
        last_value(comm IGNORE NULLS) OVER life AS comm, last_value(argv IGNORE NULLS) OVER life AS argv,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY step, ts_ns, comm) AS nth
    FROM seen
    WINDOW life AS (
        PARTITION BY recording_id, pid, start_ns ORDER BY step, ts_ns, comm ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
),
lives AS (
    SELECT
        recording_id, pid, start_ns, max(born) AS born, max(ended_ns) AS ended_ns, max(ended) AS ended, max(how) AS how,
        max(CASE WHEN nth = 1 THEN comm END) AS comm, max(CASE WHEN nth = 1 THEN argv END) AS argv
    FROM ordered
    GROUP BY recording_id, pid, start_ns
),
ranked AS (
    SELECT
        l.recording_id, l.pid, l.start_ns, l.comm, l.argv, l.ended_ns, l.ended, l.how, w.begin_ns,
        greatest(l.start_ns, w.begin_ns) AS from_ns, coalesce(l.ended_ns, w.end_ns) AS to_ns,
        count(*) OVER (PARTITION BY l.recording_id) AS processes,
        row_number() OVER (
            PARTITION BY l.recording_id ORDER BY coalesce(l.ended_ns, w.end_ns) - greatest(l.start_ns, w.begin_ns) DESC, l.start_ns, l.pid
        ) AS place
    FROM lives l
    JOIN windows w ON w.recording_id = l.recording_id
    WHERE l.start_ns >= w.begin_ns OR l.born = 1 OR l.ended_ns IS NOT NULL
)
SELECT
    pid,
    comm,
    argv,
    round((from_ns - begin_ns) / 1e9, 3) AS from_s,
    round((to_ns - begin_ns) / 1e9, 3) AS to_s,
    round((ended_ns - start_ns) / 1e9, 3) AS life_s,
    coalesce(ended, 'no end seen') AS ended,
    coalesce(how, 'running') AS how,
    processes,
    start_ns,
    recording_id
FROM ranked
WHERE place <= $most
ORDER BY recording_id, start_ns, pid
