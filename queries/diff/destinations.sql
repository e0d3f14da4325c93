-- Where programs connect to
--
-- Group: TCP
-- Question: Which programs connect to which addresses and ports?
-- Tables: tcp_connect
-- Columns:
--   what          VARCHAR   -   name of the process, address and port of the destination
--   events        BIGINT    -   connects, whatever came of them
--   port          INTEGER   -   that port
--   family        VARCHAR   -   what, without the port
--   recording_id  VARCHAR   -   recording
-- Parameters: none
-- Caveats: Services that are reached by other addresses each time are other destinations each time.
SELECT
    concat(comm, ' -> ', daddr, ' port ', CAST(dport AS VARCHAR)) AS what,
    count(*) AS events,
    dport AS port,
    concat(comm, ' -> ', daddr) AS family,
    recording_id
FROM tcp_connect
GROUP BY recording_id, comm, daddr, dport
ORDER BY recording_id, what
