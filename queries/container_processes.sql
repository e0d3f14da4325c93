-- Container processes: what ran in which container
--
-- Group: Containers
-- Question: Which processes ran in which container, what were they, how long did they live, and how did they end?
-- Tables: container, exec, exit, process, recording
-- Columns:
--   container     VARCHAR    -    name of the container, else its host name, or its id where that is the host's; pid_ns NUMBER: it was not recorded
--   id            VARCHAR    -    first 12 characters of the runtime's id; NULL for bare namespaces
--   pid           INTEGER    -    process id in the initial pid namespace
--   comm          VARCHAR    -    last name of the process that was seen
--   uid           INTEGER    -    real user id in the initial user namespace
--   start_s       DOUBLE     s    birth, from the start of the recording; negative for those that were there before
--   life_ms       DOUBLE     ms   from birth to end; NULL when no end was seen
--   ended         VARCHAR    -    exit CODE, the name of the signal, or no end seen
--   argv          VARCHAR[]  -    arguments of the last program that it executed; NULL where there was none, or none recorded
--   start_ns      BIGINT     ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: A container is a pid namespace below the host's, or a cgroup that a runtime made: browsers and build tools make pid namespaces, too. A process that moved to
--   another is in the last that it was seen in. A child that neither executed anything nor ended is not here.
--   On hosts with cgroup v1 and v2, containers that only v1 tells apart and that share a pid namespace, with each other or with the host, are not named (pid_ns
--   NUMBER) or not here.
WITH steps AS (
    SELECT
        recording_id, ts_ns, 1 AS step, pid, start_ns, comm, uid, cgroup_id, pid_ns, pid_ns_level, argv,
        CAST(NULL AS VARCHAR) AS ended, CAST(NULL AS BIGINT) AS duration_ns
    FROM exec
    UNION ALL
    SELECT
        recording_id, ts_ns, 0 AS step, pid, start_ns, comm, uid, cgroup_id, pid_ns, pid_ns_level, cmdline AS argv, NULL AS ended, NULL AS duration_ns
    FROM process
    UNION ALL
    SELECT
        recording_id, ts_ns, 2 AS step, pid, start_ns, comm, uid, cgroup_id, pid_ns, pid_ns_level, NULL AS argv,
        CASE WHEN signal IS NULL THEN concat('exit ', exit_code) ELSE signal_name(signal) END AS ended, duration_ns
    FROM exit
),
numbered AS (
    SELECT
        recording_id, pid, start_ns, step, comm, uid, cgroup_id, pid_ns, pid_ns_level, argv, ended, duration_ns,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY step DESC, ts_ns DESC) AS latest,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY CASE WHEN step = 2 THEN -1 ELSE step END DESC, ts_ns DESC) AS latest_command
    FROM steps
)
SELECT
    coalesce(c.label, concat('pid_ns ', n.pid_ns)) AS container,
    left(c.container_id, 12) AS id,
    n.pid,
    n.comm,
    n.uid,
    round((n.start_ns - r.start_ns) / 1e9, 3) AS start_s,
    round(n.duration_ns / 1e6, 3) AS life_ms,
    coalesce(n.ended, 'no end seen') AS ended,
    x.argv,
    n.start_ns,
    n.recording_id
FROM numbered n
JOIN numbered x ON x.recording_id = n.recording_id AND x.pid = n.pid AND x.start_ns = n.start_ns AND x.latest_command = 1
LEFT JOIN container_context c ON c.recording_id = n.recording_id AND c.cgroup_id = n.cgroup_id AND c.pid_ns = n.pid_ns
LEFT JOIN recording r ON r.recording_id = n.recording_id
WHERE n.latest = 1 AND (n.pid_ns_level > 0 OR c.container_id IS NOT NULL)
ORDER BY n.recording_id, container, n.start_ns, n.pid
