-- Connects that fail
--
-- Group: TCP
-- Question: Which connects of which programs fail, and how?
-- Tables: tcp_connect
-- Columns:
--   what          VARCHAR   -   name of the process, address and port of the destination, name of the errno
--   events        BIGINT    -   connects that failed so
--   port          INTEGER   -   that port
--   family        VARCHAR   -   what, without the port
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: Attempts that the process gave up itself are not here.
SELECT
    concat(comm, ' -> ', daddr, ' port ', CAST(dport AS VARCHAR), ' ', coalesce(errno_name(errno), 'error not known')) AS what,
    count(*) AS events,
    dport AS port,
    concat(comm, ' -> ', daddr, ' ', coalesce(errno_name(errno), 'error not known')) AS family,
    recording_id
FROM tcp_connect
WHERE outcome = 'failed'
GROUP BY recording_id, comm, daddr, dport, errno
ORDER BY recording_id, what
