-- Retransmits: where segments get lost
--
-- Group: TCP
-- Question: On the way to which peers do segments get lost, and how far away are these?
-- Tables: tcp_close
-- Columns:
--   daddr           VARCHAR  -      address of the peer; NULL when not known
--   port            INTEGER  -      port of the service: the peer's of outbound connections, the local one of inbound ones
--   direction       VARCHAR  -      outbound: connected from here; inbound: accepted here; NULL when not known
--   connections     BIGINT   -      connections that ended during the recording
--   affected        BIGINT   -      those of them on which segments were sent again
--   retransmits     BIGINT   -      segments sent again
--   per_mb          DOUBLE   -      segments sent again for each 1,000,000 bytes that were sent; NULL when none were
--   timed_out       BIGINT   -      connections that ended since nothing came back (ETIMEDOUT)
--   bytes_sent      BIGINT   bytes  data sent, retransmissions not among them
--   p50_srtt_ms     DOUBLE   ms     smoothed round-trip time at the end, that half of the connections did not exceed; NULL when none was measured
--   max_srtt_ms     DOUBLE   ms     longest
--   recording_id    VARCHAR  -      recording
-- Parameters: none
-- Caveats: What was sent from here, and when the connection ended: what the peer had to send again, and connections still open, are not seen. A SYN that was sent again is
--   in no connection's count: see latency_histogram.
WITH ends AS (
    SELECT
        recording_id, daddr, CASE WHEN direction = 'inbound' THEN sport ELSE dport END AS port, direction, retransmits, errno, bytes_sent, srtt_us
    FROM tcp_close
)
SELECT
    daddr,
    port,
    direction,
    count(*) AS connections,
    CAST(sum(CASE WHEN retransmits > 0 THEN 1 ELSE 0 END) AS BIGINT) AS affected,
    CAST(sum(retransmits) AS BIGINT) AS retransmits,
    round(sum(retransmits) * 1e6 / nullif(sum(bytes_sent), 0), 3) AS per_mb,
    CAST(sum(CASE WHEN errno = 110 THEN 1 ELSE 0 END) AS BIGINT) AS timed_out,
    CAST(sum(bytes_sent) AS BIGINT) AS bytes_sent,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY srtt_us) / 1e3, 3) AS p50_srtt_ms,
    round(max(srtt_us) / 1e3, 3) AS max_srtt_ms,
    recording_id
FROM ends
GROUP BY recording_id, daddr, port, direction
ORDER BY recording_id, retransmits DESC, timed_out DESC, connections DESC, daddr, port, direction
