-- Process tree: what was started, below whom
--
-- Group: Processes
-- Question: Which processes were started during the recording, and by which chain of parents?
-- Tables: clone, exec, exit, process, recording
-- Columns:
--   tree          VARCHAR  -    comm of the process, indented by two spaces for each ancestor
--   pid           INTEGER  -    process id in the initial pid namespace
--   depth         BIGINT   -    number of ancestors shown above it
--   start_s       DOUBLE   s    birth, from the start of the recording; negative for those that were there before
--   life_ms       DOUBLE   ms   from birth to end; NULL when no end was seen
--   ended         VARCHAR  -    exit CODE, the name of the signal, or no end seen
--   argv          VARCHAR[]  -  arguments of the last program that it executed; NULL where there was none, or none recorded
--   start_ns      BIGINT   ns   birth, CLOCK_BOOTTIME; with pid and recording_id the key of the process
--   recording_id  VARCHAR  -    recording
-- Parameters:
--   max_depth  BIGINT  40  deepest level that is shown; 0 shows the top only
-- Caveats: Processes that were there before are shown only where something was started below them. The parent is the one at birth: a process whose parent ended
--   stays below it, though the kernel has given it to another. Where births were lost, a process stands at the top, or below the parent
--   that it had at its first exec or at its end.
WITH RECURSIVE seen AS (
    -- CLONE_PARENT: the child becomes a sibling of the task that made it.
    SELECT
        recording_id, child_pid AS pid, child_start_ns AS start_ns, CASE WHEN clone_flags & 32768 <> 0 THEN ppid ELSE pid END AS ppid,
        comm, 1 AS born, 1 AS source, ts_ns
    FROM clone
    WHERE NOT is_thread
    UNION ALL
    SELECT recording_id, pid, start_ns, ppid, comm, 0 AS born, 2 AS source, ts_ns FROM process
    UNION ALL
    SELECT recording_id, pid, start_ns, ppid, comm, 0 AS born, 3 AS source, ts_ns FROM exec
    UNION ALL
    SELECT recording_id, pid, start_ns, ppid, comm, 0 AS born, 4 AS source, ts_ns FROM exit
),
numbered AS (
    SELECT
        recording_id, pid, start_ns, ppid, born,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY source, ts_ns) AS first_seen
    FROM seen
),
-- The name is the last one: an exec changes it, and a clone row has the parent's.
named AS (
    SELECT
        recording_id, pid, start_ns, comm,
        row_number() OVER (PARTITION BY recording_id, pid, start_ns ORDER BY CASE WHEN source = 1 THEN 0 ELSE 1 END DESC, ts_ns DESC, source DESC) AS last_seen
    FROM seen
),
nodes AS (
    SELECT n.recording_id, n.pid, n.start_ns, n.ppid, n.born, m.comm
    FROM numbered n
    JOIN named m ON m.recording_id = n.recording_id AND m.pid = n.pid AND m.start_ns = n.start_ns
    WHERE n.first_seen = 1 AND m.last_seen = 1
),
-- The parent is, of the processes with that pid, the last to start before the child.
parents AS (
    SELECT c.recording_id, c.pid, c.start_ns, p.pid AS parent_pid, max(p.start_ns) AS parent_start_ns
    FROM nodes c
    JOIN nodes p ON p.recording_id = c.recording_id AND p.pid = c.ppid AND p.start_ns < c.start_ns
    GROUP BY c.recording_id, c.pid, c.start_ns, p.pid
),
-- From what was started during the recording (its birth may be lost) up to the top; UNION keeps each ancestor once.
kept AS (
    SELECT n.recording_id, n.pid, n.start_ns
    FROM nodes n
    JOIN recording r ON r.recording_id = n.recording_id
    WHERE n.born = 1 OR n.start_ns >= r.start_ns
    UNION
    SELECT p.recording_id, p.parent_pid AS pid, p.parent_start_ns AS start_ns
    FROM kept k
    JOIN parents p ON p.recording_id = k.recording_id AND p.pid = k.pid AND p.start_ns = k.start_ns
),
-- And down again. The path sorts children below their parent, in the order in which they were born.
tree AS (
    SELECT
        k.recording_id, k.pid, k.start_ns, CAST(0 AS BIGINT) AS depth,
        concat(lpad(CAST(k.start_ns AS VARCHAR), 20, '0'), lpad(CAST(k.pid AS VARCHAR), 10, '0')) AS path
    FROM kept k
    LEFT JOIN parents p ON p.recording_id = k.recording_id AND p.pid = k.pid AND p.start_ns = k.start_ns
    WHERE p.pid IS NULL
    UNION ALL
    SELECT
        k.recording_id, k.pid, k.start_ns, t.depth + 1 AS depth,
        concat(t.path, lpad(CAST(k.start_ns AS VARCHAR), 20, '0'), lpad(CAST(k.pid AS VARCHAR), 10, '0')) AS path
    FROM tree t
    JOIN parents p ON p.recording_id = t.recording_id AND p.parent_pid = t.pid AND p.parent_start_ns = t.start_ns
    JOIN kept k ON k.recording_id = p.recording_id AND k.pid = p.pid AND k.start_ns = p.start_ns
    WHERE t.depth < CAST($max_depth AS BIGINT)
),
ended AS (
    SELECT
        recording_id, pid, start_ns, max(duration_ns) AS duration_ns,
        max(CASE WHEN signal IS NULL THEN concat('exit ', exit_code) ELSE signal_name(signal) END) AS ended
    FROM exit
    GROUP BY recording_id, pid, start_ns
)
SELECT
    concat(repeat('  ', CAST(t.depth AS INTEGER)), n.comm) AS tree,
    t.pid,
    t.depth,
    round((t.start_ns - r.start_ns) / 1e9, 3) AS start_s,
    round(e.duration_ns / 1e6, 3) AS life_ms,
    coalesce(e.ended, 'no end seen') AS ended,
    l.argv,
    t.start_ns,
    t.recording_id
FROM tree t
JOIN nodes n ON n.recording_id = t.recording_id AND n.pid = t.pid AND n.start_ns = t.start_ns
JOIN recording r ON r.recording_id = t.recording_id
LEFT JOIN process_command l ON l.recording_id = t.recording_id AND l.pid = t.pid AND l.start_ns = t.start_ns
LEFT JOIN ended e ON e.recording_id = t.recording_id AND e.pid = t.pid AND e.start_ns = t.start_ns
ORDER BY t.recording_id, t.path
