-- Programs that start others
--
-- Group: Processes
-- Question: Which programs made processes that execute which others?
-- Tables: clone, exec
-- Columns:
--   what          VARCHAR   -   name of the process that made the one which executed, and path of the program
--   events        BIGINT    -   executions
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: A process that was there before the recording, and executes, has no parent here.
WITH born AS (
    SELECT recording_id, child_pid AS pid, child_start_ns AS start_ns, max(comm) AS parent
    FROM clone
    WHERE NOT is_thread
    GROUP BY recording_id, child_pid, child_start_ns
)
SELECT concat(b.parent, ' -> ', x.filename) AS what, count(*) AS events, x.recording_id
FROM exec x
JOIN born b ON b.recording_id = x.recording_id AND b.pid = x.pid AND b.start_ns = x.start_ns
GROUP BY x.recording_id, b.parent, x.filename
ORDER BY x.recording_id, what
