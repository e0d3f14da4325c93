-- Programs that were executed
--
-- Group: Processes
-- Question: Which programs were executed?
-- Tables: exec
-- Columns:
--   what          VARCHAR   -   path of the program, as it was given to execve(2)
--   events        BIGINT    -   executions
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: A program is known by the path that was given.
SELECT filename AS what, count(*) AS events, recording_id
FROM exec
GROUP BY recording_id, filename
ORDER BY recording_id, what
