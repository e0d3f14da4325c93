-- Which ports programs accept connections on
--
-- Group: TCP
-- Question: Which programs accept connections on which ports?
-- Tables: tcp_accept
-- Columns:
--   what          VARCHAR   -   name of the process, and its port
--   events        BIGINT    -   connections accepted
--   port          INTEGER   -   that port
--   family        VARCHAR   -   name of the process
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: Programs that listen, and that nobody connects to, are not here.
SELECT concat(comm, ' port ', CAST(sport AS VARCHAR)) AS what, count(*) AS events, sport AS port, comm AS family, recording_id
FROM tcp_accept
GROUP BY recording_id, comm, sport
ORDER BY recording_id, what
