-- Listeners: who serves which port, and how fast it takes connections
--
-- Group: TCP
-- Question: Which processes listen or accept on which ports, for how many clients, and how long do connections wait to be accepted?
-- Tables: tcp_socket, tcp_accept, recording
-- Columns:
--   port           INTEGER  -    local port
--   comm           VARCHAR  -    name of the processes that listen or accept; NULL when not known
--   addresses      VARCHAR  -    addresses that it listened on when the recording began, two at most; NULL: it did not then
--   net_ns         BIGINT   -    net namespace of the port
--   processes      BIGINT   -    processes that accepted connections
--   accepted       BIGINT   -    connections that they accepted
--   clients        BIGINT   -    different addresses that these came from
--   gone           BIGINT   -    those that had ended before they were accepted
--   p50_queued_ms  DOUBLE   ms   from ESTABLISHED to accept, that half of the connections did not exceed
--   p99_queued_ms  DOUBLE   ms   the same for 99 in 100
--   max_queued_ms  DOUBLE   ms   longest
--   first_s        DOUBLE   s    first accept, from the start of the recording; NULL: there was none
--   last_s         DOUBLE   s    last accept; NULL as above
--   recording_id   VARCHAR  -    recording
-- Parameters: none
-- Caveats: A port that began to listen during the recording, and accepted nothing, is not here. A long queue means a server too busy to accept, not a slow network. Connections
--   from before the recording, and those accepted through io_uring, have no queueing time, or are not here at all.
WITH listening AS (
    SELECT
        recording_id, net_ns, sport, comm, count(DISTINCT saddr) AS number, min(saddr) AS lowest, max(saddr) AS highest
    FROM tcp_socket
    WHERE state = 'listen'
    GROUP BY recording_id, net_ns, sport, comm
),
accepted AS (
    SELECT
        recording_id, net_ns, sport, comm, count(DISTINCT concat(pid, ' ', start_ns)) AS processes, count(*) AS accepted, count(DISTINCT daddr) AS clients,
        CAST(sum(CASE WHEN is_closed THEN 1 ELSE 0 END) AS BIGINT) AS gone,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY queued_ns) AS p50_ns, percentile_disc(0.99) WITHIN GROUP (ORDER BY queued_ns) AS p99_ns,
        max(queued_ns) AS max_ns, min(ts_ns) AS first_ns, max(ts_ns) AS last_ns
    FROM tcp_accept
    GROUP BY recording_id, net_ns, sport, comm
),
ports AS (
    SELECT recording_id, net_ns, sport, comm FROM listening
    UNION
    SELECT recording_id, net_ns, sport, comm FROM accepted
)
SELECT
    p.sport AS port,
    p.comm,
    CASE WHEN l.number > 2 THEN concat(l.lowest, ' and ', l.number - 1, ' more') WHEN l.number = 2 THEN concat(l.lowest, ', ', l.highest)
        ELSE l.lowest END AS addresses,
    p.net_ns,
    coalesce(a.processes, 0) AS processes,
    coalesce(a.accepted, 0) AS accepted,
    coalesce(a.clients, 0) AS clients,
    coalesce(a.gone, 0) AS gone,
    round(a.p50_ns / 1e6, 3) AS p50_queued_ms,
    round(a.p99_ns / 1e6, 3) AS p99_queued_ms,
    round(a.max_ns / 1e6, 3) AS max_queued_ms,
    round((a.first_ns - r.start_ns) / 1e9, 3) AS first_s,
    round((a.last_ns - r.start_ns) / 1e9, 3) AS last_s,
    p.recording_id
FROM ports p
LEFT JOIN recording r ON r.recording_id = p.recording_id
LEFT JOIN listening l
    ON l.recording_id = p.recording_id AND l.sport = p.sport AND l.comm IS NOT DISTINCT FROM p.comm AND l.net_ns IS NOT DISTINCT FROM p.net_ns
LEFT JOIN accepted a
    ON a.recording_id = p.recording_id AND a.sport = p.sport AND a.comm IS NOT DISTINCT FROM p.comm AND a.net_ns IS NOT DISTINCT FROM p.net_ns
ORDER BY p.recording_id, a.max_ns DESC NULLS LAST, p.sport, p.comm, p.net_ns
