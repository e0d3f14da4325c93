-- Top talkers: bytes by process and peer
--
-- Group: TCP
-- Question: Which processes exchanged most data, and with whom?
-- Tables: tcp_close
-- Columns:
--   pid             INTEGER  -      process that had opened or accepted the connections; NULL when not known
--   comm            VARCHAR  -      its name; NULL as above
--   direction       VARCHAR  -      outbound: it connected; inbound: it accepted; NULL when not known
--   daddr           VARCHAR  -      address of the peer; NULL when not known
--   port            INTEGER  -      port of the service: the peer's of outbound connections, the local one of inbound ones
--   connections     BIGINT   -      connections that ended during the recording
--   bytes_sent      BIGINT   bytes  data sent on them, retransmissions not among them
--   bytes_received  BIGINT   bytes  data received on them
--   bytes           BIGINT   bytes  both together
--   retransmits     BIGINT   -      segments sent again
--   start_ns        BIGINT   ns     birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id    VARCHAR  -      recording
-- Parameters: none
-- Caveats: Bytes are known when a connection ends: those still open are not here, and those from before the recording are here whole. What is sent within this
--   machine is here twice, once for each end. A process that changed its name has a row for each name.
WITH ends AS (
    SELECT
        recording_id, pid, start_ns, comm, direction, daddr, CASE WHEN direction = 'inbound' THEN sport ELSE dport END AS port,
        bytes_sent, bytes_received, retransmits
    FROM tcp_close
)
SELECT
    pid,
    comm,
    direction,
    daddr,
    port,
    count(*) AS connections,
    CAST(sum(bytes_sent) AS BIGINT) AS bytes_sent,
    CAST(sum(bytes_received) AS BIGINT) AS bytes_received,
    CAST(sum(bytes_sent + bytes_received) AS BIGINT) AS bytes,
    CAST(sum(retransmits) AS BIGINT) AS retransmits,
    start_ns,
    recording_id
FROM ends
GROUP BY recording_id, pid, start_ns, comm, direction, daddr, port
ORDER BY recording_id, bytes DESC, connections DESC, pid, start_ns, comm, direction, daddr, port
