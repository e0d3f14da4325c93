-- Service map: who talks to whom, over TCP
--
-- Group: TCP
-- Question: Which processes and containers use which services, how often, how fast, and does it work?
-- Tables: tcp_connect, tcp_accept, tcp_socket, tcp_close, container, recording
-- Columns:
--   client_container  VARCHAR  -      container of the client, as in container_connects; NULL: none, or on another machine
--   client            VARCHAR  -      name of the process that connected; its address when it is on another machine, or was not seen
--   server_container  VARCHAR  -      container of the server; NULL: none, or on another machine
--   server            VARCHAR  -      name of the process that accepted; its address when it is on another machine, or was not seen
--   port              INTEGER  -      port of the server
--   connections       BIGINT   -      connections between both, those that were there at the start among them
--   failed            BIGINT   -      attempts that did not become a connection: failed, closed by the client, or pending at the end
--   p50_ms            DOUBLE   ms     latency of SYN to ESTABLISHED that half of the connects did not exceed; NULL when not known
--   bytes_sent        BIGINT   bytes  data from the client to the server, on connections that ended
--   bytes_received    BIGINT   bytes  data from the server to the client, on connections that ended
--   recording_id      VARCHAR  -      recording
-- Parameters: none
-- Caveats: Both ends are joined by their addresses and ports. Where these are translated on the way (published ports, services of Kubernetes), each end is a row
--   of its own. A failed attempt counts for the process that was last seen to serve that address and port. Ends whose direction is not known are not here.
WITH seen AS (
    SELECT
        recording_id, ts_ns, cgroup_id, pid_ns, uts_ns, nodename, container_id, name,
        -- Who makes a container inside of this one has its host name first: it is not this one's.
        CASE WHEN max(pid_ns_level) OVER (PARTITION BY recording_id, uts_ns) > pid_ns_level THEN 1 ELSE 0 END AS is_inner,
        -- Containers that only their groups of cgroup v1 tell apart, which are not in other tables' rows: from each other, or from the host's processes.
        CASE
            WHEN min(container_id) OVER (PARTITION BY recording_id, cgroup_id, pid_ns) <> max(container_id) OVER (PARTITION BY recording_id, cgroup_id, pid_ns)
                THEN 1
            WHEN pid_ns_level = 0 AND memory_cgroup_id IS NOT NULL AND position(container_id IN cgroup_path) = 0 THEN 1
            ELSE 0
        END AS is_mixed
    FROM container
),
contexts AS (
    SELECT
        c.recording_id, c.cgroup_id, c.pid_ns, c.container_id,
        -- A container that shares the host's name is better known by its id.
        coalesce(c.name, CASE WHEN c.nodename <> r.host THEN c.nodename END, left(c.container_id, 12), c.nodename) AS label,
        row_number() OVER (PARTITION BY c.recording_id, c.cgroup_id, c.pid_ns ORDER BY c.is_inner, c.ts_ns DESC, c.nodename, c.uts_ns) AS latest
    FROM seen c
    LEFT JOIN recording r ON r.recording_id = c.recording_id
    WHERE c.is_mixed = 0
),
-- As in the report connections.
steps AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, ts_ns AS at_ns, 1 AS step, 'outbound' AS direction, pid, comm, cgroup_id,
        pid_ns,
        pid_ns_level, latency_ns, coalesce(syn_ns, ts_ns) AS began_ns, CAST(NULL AS BIGINT) AS bytes_sent, CAST(NULL AS BIGINT) AS bytes_received
    FROM tcp_connect
    WHERE outcome = 'connected'
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, ts_ns - coalesce(queued_ns, 0) AS at_ns, 2 AS step,
        'inbound' AS direction, pid, comm,
        cgroup_id, pid_ns, pid_ns_level, NULL AS latency_ns, ts_ns - coalesce(queued_ns, 0) AS began_ns, NULL AS bytes_sent, NULL AS bytes_received
    FROM tcp_accept
    WHERE NOT is_closed
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, ts_ns AS at_ns, 3 AS step, direction, pid, comm, cgroup_id, pid_ns,
        pid_ns_level, NULL AS latency_ns, 0 AS began_ns, NULL AS bytes_sent, NULL AS bytes_received
    FROM tcp_socket
    WHERE state NOT IN ('listen', 'syn_sent', 'syn_recv', 'time_wait', 'close')
    UNION ALL
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, ts_ns AS at_ns, 4 AS step, direction, pid, comm, cgroup_id, pid_ns,
        pid_ns_level, NULL AS latency_ns, coalesce(ts_ns - duration_ns, 0) AS began_ns, bytes_sent, bytes_received
    FROM tcp_close
),
marked AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, at_ns, step, direction, pid, comm, cgroup_id, pid_ns,
        pid_ns_level, latency_ns, began_ns, bytes_sent, bytes_received,
        coalesce(lag(step) OVER ends, 4) AS before, coalesce(lag(step, 2) OVER ends, 4) AS before_that
    FROM steps
    WINDOW ends AS (PARTITION BY recording_id, net_ns, saddr, sport, daddr, dport ORDER BY at_ns, step, pid)
),
numbered AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, saddr_scope, daddr_scope, at_ns, step, direction, comm, cgroup_id, pid_ns,
        pid_ns_level, latency_ns, began_ns, bytes_sent, bytes_received,
        sum(CASE WHEN step = 1 OR (step = 2 AND NOT (before = 3 AND before_that = 4)) OR (step >= 3 AND before = 4) THEN 1 ELSE 0 END) OVER (
            PARTITION BY recording_id, net_ns, saddr, sport, daddr, dport ORDER BY at_ns, step, pid ROWS UNBOUNDED PRECEDING
        ) AS number
    FROM marked
),
ends AS (
    SELECT
        recording_id, net_ns, saddr, sport, daddr, dport, number, max(direction) AS direction, max(saddr_scope) AS saddr_scope,
        max(daddr_scope) AS daddr_scope,
        coalesce(max(CASE WHEN step <= 2 THEN comm END), max(CASE WHEN step = 3 THEN comm END), max(comm)) AS comm,
        coalesce(max(CASE WHEN step <= 2 THEN cgroup_id END), max(cgroup_id)) AS cgroup_id,
        coalesce(max(CASE WHEN step <= 2 THEN pid_ns END), max(pid_ns)) AS pid_ns,
        coalesce(max(CASE WHEN step <= 2 THEN pid_ns_level END), max(pid_ns_level)) AS pid_ns_level,
        max(latency_ns) AS latency_ns, coalesce(max(CASE WHEN step <= 2 THEN began_ns END), min(began_ns)) AS began_ns,
        max(bytes_sent) AS bytes_sent, max(bytes_received) AS bytes_received
    FROM numbered
    GROUP BY recording_id, net_ns, saddr, sport, daddr, dport, number
),
-- Seen from the client. A loopback address means another host in each net namespace, and who has it at one end has the other end there, too. Of all others
-- both ends may be in different ones.
oriented AS (
    SELECT
        e.recording_id, CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN coalesce(e.net_ns, 0) ELSE 0 END AS zone,
        CASE WHEN e.daddr_scope = 'loopback' THEN coalesce(e.net_ns, 0) ELSE 0 END AS server_zone, 0 AS side,
        e.saddr AS client_addr, e.sport AS client_port, e.daddr AS server_addr, e.dport AS server_port,
        e.comm, e.cgroup_id, e.pid_ns, e.pid_ns_level, e.latency_ns, e.began_ns, e.number, e.bytes_sent, e.bytes_received
    FROM ends e
    WHERE e.direction = 'outbound'
    UNION ALL
    SELECT
        e.recording_id, CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN coalesce(e.net_ns, 0) ELSE 0 END AS zone,
        CASE WHEN e.saddr_scope = 'loopback' THEN coalesce(e.net_ns, 0) ELSE 0 END AS server_zone, 1 AS side,
        e.daddr AS client_addr, e.dport AS client_port, e.saddr AS server_addr, e.sport AS server_port,
        e.comm, e.cgroup_id, e.pid_ns, e.pid_ns_level, e.latency_ns, e.began_ns, e.number, e.bytes_received AS bytes_sent, e.bytes_sent AS bytes_received
    FROM ends e
    WHERE e.direction = 'inbound'
),
labelled AS (
    SELECT
        o.recording_id, o.zone, o.server_zone, o.side, o.client_addr, o.client_port, o.server_addr, o.server_port, o.comm, o.latency_ns, o.began_ns, o.number,
        o.bytes_sent, o.bytes_received,
        CASE WHEN o.pid_ns_level > 0 OR c.container_id IS NOT NULL THEN coalesce(c.label, concat('pid_ns ', o.pid_ns)) END AS container
    FROM oriented o
    LEFT JOIN contexts c ON c.recording_id = o.recording_id AND c.cgroup_id = o.cgroup_id AND c.pid_ns = o.pid_ns AND c.latest = 1
),
-- The server's end belongs to the last connect before it. Without one the client is on another machine, and each end is a connection of its own.
paired AS (
    SELECT
        recording_id, zone, server_zone, side, client_addr, client_port, server_addr, server_port, comm, latency_ns, began_ns, number, bytes_sent,
        bytes_received, container,
        sum(CASE WHEN side = 0 THEN 1 ELSE 0 END) OVER (
            PARTITION BY recording_id, zone, client_addr, client_port, server_addr, server_port ORDER BY began_ns, side, number
            ROWS UNBOUNDED PRECEDING
        ) AS pair
    FROM labelled
),
pairs AS (
    SELECT
        recording_id, server_zone, client_addr, server_addr, server_port,
        max(CASE WHEN side = 0 THEN comm END) AS client, max(CASE WHEN side = 0 THEN container END) AS client_container,
        max(CASE WHEN side = 1 THEN comm END) AS server, max(CASE WHEN side = 1 THEN container END) AS server_container,
        max(latency_ns) AS latency_ns, min(began_ns) AS began_ns,
        coalesce(max(CASE WHEN side = 0 THEN bytes_sent END), max(bytes_sent)) AS bytes_sent,
        coalesce(max(CASE WHEN side = 0 THEN bytes_received END), max(bytes_received)) AS bytes_received
    FROM paired
    GROUP BY recording_id, zone, server_zone, client_addr, client_port, server_addr, server_port, pair, CASE WHEN pair = 0 THEN number ELSE 0 END
),
attempts AS (
    SELECT
        recording_id, server_zone, client_addr, server_addr, server_port, client, client_container, server, server_container, latency_ns, bytes_sent,
        bytes_received, 1 AS connected
    FROM pairs
    UNION ALL
    SELECT
        t.recording_id, CASE WHEN t.daddr_scope = 'loopback' THEN coalesce(t.net_ns, 0) ELSE 0 END AS server_zone, t.saddr AS client_addr,
        t.daddr AS server_addr, t.dport AS server_port, t.comm AS client,
        CASE WHEN t.pid_ns_level > 0 OR c.container_id IS NOT NULL THEN coalesce(c.label, concat('pid_ns ', t.pid_ns)) END AS client_container,
        NULL AS server, NULL AS server_container, NULL AS latency_ns, NULL AS bytes_sent, NULL AS bytes_received, 0 AS connected
    FROM tcp_connect t
    LEFT JOIN contexts c ON c.recording_id = t.recording_id AND c.cgroup_id = t.cgroup_id AND c.pid_ns = t.pid_ns AND c.latest = 1
    WHERE t.outcome <> 'connected'
),
served AS (
    SELECT
        recording_id, server_zone, server_addr, server_port, server, server_container,
        row_number() OVER (PARTITION BY recording_id, server_zone, server_addr, server_port ORDER BY began_ns DESC, server, server_container) AS latest
    FROM pairs
    WHERE server IS NOT NULL
),
named AS (
    SELECT
        a.recording_id, a.server_port AS port, a.connected, a.latency_ns, a.bytes_sent, a.bytes_received, a.client_container,
        coalesce(a.client, a.client_addr) AS client,
        CASE WHEN a.server IS NOT NULL THEN a.server_container ELSE s.server_container END AS server_container,
        coalesce(a.server, s.server, a.server_addr) AS server
    FROM attempts a
    LEFT JOIN served s
        ON s.recording_id = a.recording_id AND s.server_zone = a.server_zone AND s.server_addr = a.server_addr
            AND s.server_port = a.server_port AND s.latest = 1
)
SELECT
    client_container,
    client,
    server_container,
    server,
    port,
    CAST(sum(connected) AS BIGINT) AS connections,
    CAST(sum(1 - connected) AS BIGINT) AS failed,
    round(percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ns) / 1e6, 3) AS p50_ms,
    CAST(sum(bytes_sent) AS BIGINT) AS bytes_sent,
    CAST(sum(bytes_received) AS BIGINT) AS bytes_received,
    recording_id
FROM named
GROUP BY recording_id, client_container, client, server_container, server, port
ORDER BY recording_id, connections DESC, failed DESC, client_container, client, server_container, server, port
