-- Processes that failed or were killed
--
-- Group: Processes
-- Question: Which programs end with an error or by a signal?
-- Tables: exit
-- Columns:
--   what          VARCHAR   -   name of the process, and its exit code or signal
--   events        BIGINT    -   processes that ended so
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: Many programs say something else than failure with a code that is not 0.
SELECT
    concat(comm, ' ', CASE WHEN signal IS NOT NULL THEN signal_name(signal) ELSE concat('code ', CAST(exit_code AS VARCHAR)) END) AS what,
    count(*) AS events,
    recording_id
FROM exit
WHERE signal IS NOT NULL OR exit_code <> 0
GROUP BY recording_id, comm, signal, exit_code
ORDER BY recording_id, what
