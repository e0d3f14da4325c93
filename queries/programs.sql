-- Programs: what was executed, and what had not been running before
--
-- Group: Processes
-- Question: Which programs were executed, since when, how often, and which of them are new?
-- Tables: exec, exit, process, recording
-- Columns:
--   program       VARCHAR    -    path of the program, as it was given to execve(2)
--   is_new        BOOLEAN    -    when the recording began, no process had this path or this name
--   first_s       DOUBLE     s    first execution, from the start of the recording
--   last_s        DOUBLE     s    last execution, from the start of the recording
--   executions    BIGINT     -    how often it was executed
--   parents       BIGINT     -    different processes whose children executed it, or that did so themselves
--   users         BIGINT     -    different real user ids that it ran as
--   failed        BIGINT     -    processes that ended as this program, with a code other than 0 or by a signal
--   first_argv    VARCHAR[]  -    arguments of the first execution; NULL where none were recorded
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: A program is known by the path that was given: through a symbolic link it is another one, and a relative path depends on the folder. What was executed before
--   the recording began, and had ended, counts as new.
WITH executed AS (
    SELECT
        recording_id, pid, start_ns, ppid, uid, comm, filename, argv, ts_ns,
        row_number() OVER (PARTITION BY recording_id, filename ORDER BY ts_ns, pid) AS number,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY ts_ns DESC, filename) AS latest
    FROM exec
),
seen AS (
    SELECT recording_id, exe AS name FROM process WHERE exe IS NOT NULL
    UNION
    SELECT recording_id, comm AS name FROM process
),
marked AS (
    SELECT
        x.recording_id, x.filename, x.uid, x.ppid, x.ts_ns, x.number, x.argv,
        CASE WHEN p.name IS NULL AND c.name IS NULL THEN 1 ELSE 0 END AS is_new,
        CASE WHEN x.latest = 1 AND (e.exit_code <> 0 OR e.signal IS NOT NULL) THEN 1 ELSE 0 END AS failed
    FROM executed x
    LEFT JOIN seen p ON p.recording_id = x.recording_id AND p.name = x.filename
    LEFT JOIN seen c ON c.recording_id = x.recording_id AND c.name = x.comm
    LEFT JOIN exit e ON e.recording_id = x.recording_id AND e.pid = x.pid AND e.start_ns = x.start_ns
)
SELECT
    m.filename AS program,
    min(m.is_new) = 1 AS is_new,
    round((min(m.ts_ns) - r.start_ns) / 1e9, 3) AS first_s,
    round((max(m.ts_ns) - r.start_ns) / 1e9, 3) AS last_s,
    count(*) AS executions,
    count(DISTINCT m.ppid) AS parents,
    count(DISTINCT m.uid) AS users,
    CAST(sum(m.failed) AS BIGINT) AS failed,
    max(CASE WHEN m.number = 1 THEN m.argv END) AS first_argv,
    m.recording_id
FROM marked m
LEFT JOIN recording r ON r.recording_id = m.recording_id
GROUP BY m.recording_id, r.start_ns, m.filename
ORDER BY m.recording_id, is_new DESC, first_s, program
