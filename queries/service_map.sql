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
--   client_host       VARCHAR  -      host of the client; NULL: none that was recorded, or merged with this one
--   server_host       VARCHAR  -      host of the server, likewise
--   recording_id      VARCHAR  -      recording of the client; of the server where the client's is not here
-- Parameters: none
-- Caveats: Both ends are joined by their addresses and ports, on different hosts where their recordings are merged. Where these are translated on the way
--   (published ports, services of Kubernetes), each end is a row of its own. A failed attempt counts for the process that was last seen to serve that address and
--   port. Ends whose direction is not known are not here.
WITH contexts AS (
    -- Found out once, though it is joined twice.
    SELECT recording_id, cgroup_id, pid_ns, container_id, label FROM container_context
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
        max(latency_ns) AS latency_ns, coalesce(max(CASE WHEN step <= 2 THEN began_ns END), min(began_ns)) AS began_ns, min(at_ns) AS seen_ns,
        max(bytes_sent) AS bytes_sent, max(bytes_received) AS bytes_received
    FROM numbered
    GROUP BY recording_id, net_ns, saddr, sport, daddr, dport, number
),
-- Seen from the client. A loopback address means another host in each net namespace, and who has it at one end has the other end there, too. Of all others
-- both ends may be in different ones.
oriented AS (
    SELECT
        e.recording_id, CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN 1 ELSE 0 END AS is_local,
        CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN coalesce(e.net_ns, 0) ELSE 0 END AS zone,
        CASE WHEN e.daddr_scope = 'loopback' THEN coalesce(e.net_ns, 0) ELSE 0 END AS server_zone, 0 AS side,
        e.saddr AS client_addr, e.sport AS client_port, e.daddr AS server_addr, e.dport AS server_port,
        e.comm, e.cgroup_id, e.pid_ns, e.pid_ns_level, e.latency_ns, e.began_ns, e.seen_ns, e.number, e.bytes_sent, e.bytes_received
    FROM ends e
    WHERE e.direction = 'outbound'
    UNION ALL
    SELECT
        e.recording_id, CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN 1 ELSE 0 END AS is_local,
        CASE WHEN 'loopback' IN (e.saddr_scope, e.daddr_scope) THEN coalesce(e.net_ns, 0) ELSE 0 END AS zone,
        CASE WHEN e.saddr_scope = 'loopback' THEN coalesce(e.net_ns, 0) ELSE 0 END AS server_zone, 1 AS side,
        e.daddr AS client_addr, e.dport AS client_port, e.saddr AS server_addr, e.sport AS server_port,
        e.comm, e.cgroup_id, e.pid_ns, e.pid_ns_level, e.latency_ns, e.began_ns, e.seen_ns, e.number,
        e.bytes_received AS bytes_sent, e.bytes_sent AS bytes_received
    FROM ends e
    WHERE e.direction = 'inbound'
),
-- Where a server's end was seen. All other ends of clients, which are most where a host talks to others, need not be held against any.
answered AS (
    SELECT daddr AS client_addr, dport AS client_port, saddr AS server_addr, sport AS server_port FROM tcp_accept
    UNION
    SELECT daddr AS client_addr, dport AS client_port, saddr AS server_addr, sport AS server_port FROM tcp_socket WHERE direction = 'inbound'
    UNION
    SELECT daddr AS client_addr, dport AS client_port, saddr AS server_addr, sport AS server_port FROM tcp_close WHERE direction = 'inbound'
),
labelled AS (
    SELECT
        o.recording_id, o.is_local, o.zone, o.server_zone, o.side, o.client_addr, o.client_port, o.server_addr, o.server_port, o.comm, o.latency_ns,
        o.began_ns, o.seen_ns, o.number, o.bytes_sent, o.bytes_received,
        CASE WHEN o.pid_ns_level > 0 OR c.container_id IS NOT NULL THEN coalesce(c.label, concat('pid_ns ', o.pid_ns)) END AS container,
        CASE WHEN o.side = 0 AND a.server_port IS NULL THEN 1 ELSE 0 END AS is_alone
    FROM oriented o
    LEFT JOIN answered a
        ON a.client_addr = o.client_addr AND a.client_port = o.client_port AND a.server_addr = o.server_addr AND a.server_port = o.server_port
    LEFT JOIN contexts c ON c.recording_id = o.recording_id AND c.cgroup_id = o.cgroup_id AND c.pid_ns = o.pid_ns
),
-- The server's end belongs to the last connect before it. Without one the client is on another machine, and each end is a connection of its own.
paired AS (
    SELECT
        recording_id, is_local, zone, server_zone, side, client_addr, client_port, server_addr, server_port, comm, latency_ns, began_ns, seen_ns, number,
        bytes_sent, bytes_received, container,
        sum(CASE WHEN side = 0 THEN 1 ELSE 0 END) OVER (
            PARTITION BY recording_id, zone, client_addr, client_port, server_addr, server_port ORDER BY began_ns, side, number
            ROWS UNBOUNDED PRECEDING
        ) AS pair
    FROM labelled
    WHERE is_alone = 0
),
pairs AS (
    SELECT
        recording_id, is_local, zone, server_zone, client_addr, client_port, server_addr, server_port, min(side) AS first_side, max(side) AS last_side,
        max(CASE WHEN side = 0 THEN comm END) AS client, max(CASE WHEN side = 0 THEN container END) AS client_container,
        max(CASE WHEN side = 1 THEN comm END) AS server, max(CASE WHEN side = 1 THEN container END) AS server_container,
        max(latency_ns) AS latency_ns, min(began_ns) AS began_ns, min(seen_ns) AS seen_ns,
        coalesce(max(CASE WHEN side = 0 THEN bytes_sent END), max(bytes_sent)) AS bytes_sent,
        coalesce(max(CASE WHEN side = 0 THEN bytes_received END), max(bytes_received)) AS bytes_received
    FROM paired
    GROUP BY
        recording_id, is_local, zone, server_zone, client_addr, client_port, server_addr, server_port, pair, CASE WHEN pair = 0 THEN number ELSE 0 END
),
-- Recordings that were merged have one time line. What is known to so much only may look as if the server had been first.
places AS (
    SELECT recording_id, host, timeline_id, 2 * max(bound_ns) OVER (PARTITION BY timeline_id) AS slack_ns
    FROM recording
),
placed AS (
    SELECT
        s.recording_id, s.is_local, s.zone, s.server_zone, s.client_addr, s.client_port, s.server_addr, s.server_port, s.first_side, s.last_side, s.client,
        s.client_container, s.server, s.server_container, s.latency_ns, s.began_ns, s.seen_ns, s.bytes_sent, s.bytes_received,
        coalesce(l.timeline_id, s.recording_id) AS timeline_id,
        CASE WHEN s.first_side = 0 THEN l.host END AS client_host, CASE WHEN s.last_side = 1 THEN l.host END AS server_host,
        CASE WHEN s.is_local = 0 AND s.first_side = s.last_side THEN 1 ELSE 0 END AS is_half,
        CASE WHEN s.first_side = 1 THEN coalesce(l.slack_ns, 0) + CASE WHEN s.began_ns = 0 THEN s.seen_ns ELSE s.began_ns END ELSE s.began_ns END AS order_ns
    FROM pairs s
    LEFT JOIN places l ON l.recording_id = s.recording_id
),
-- A connection of which two hosts have an end each, as above.
spanned AS (
    SELECT
        recording_id, is_local, zone, server_zone, client_addr, client_port, server_addr, server_port, first_side, client, client_container, server,
        server_container,
        latency_ns, began_ns, seen_ns, bytes_sent, bytes_received, timeline_id, client_host, server_host, is_half, order_ns,
        sum(CASE WHEN first_side = 0 THEN is_half ELSE 0 END) OVER (
            PARTITION BY timeline_id, is_half, client_addr, client_port, server_addr, server_port ORDER BY order_ns, first_side, recording_id
            ROWS UNBOUNDED PRECEDING
        ) AS pair
    FROM placed
),
joined AS (
    SELECT
        coalesce(max(CASE WHEN first_side = 0 THEN recording_id END), max(recording_id)) AS recording_id, timeline_id, is_local, server_zone, client_addr,
        server_addr, server_port, max(client) AS client, max(client_container) AS client_container, max(server) AS server,
        max(server_container) AS server_container, max(client_host) AS client_host, max(server_host) AS server_host, max(latency_ns) AS latency_ns,
        min(began_ns) AS began_ns, coalesce(max(CASE WHEN first_side = 0 THEN bytes_sent END), max(bytes_sent)) AS bytes_sent,
        coalesce(max(CASE WHEN first_side = 0 THEN bytes_received END), max(bytes_received)) AS bytes_received
    FROM spanned
    GROUP BY
        timeline_id, is_local, server_zone, client_addr, client_port, server_addr, server_port, pair,
        -- Of one recording, net namespace and pair of ends there is one connection at a time.
        CASE WHEN is_half = 1 AND pair > 0 THEN NULL ELSE recording_id END, CASE WHEN is_half = 1 AND pair > 0 THEN NULL ELSE zone END,
        CASE WHEN is_half = 1 AND pair > 0 THEN NULL ELSE began_ns END, CASE WHEN is_half = 1 AND pair > 0 THEN NULL ELSE seen_ns END
),
attempts AS (
    SELECT
        recording_id, timeline_id, is_local, server_zone, client_addr, server_addr, server_port, client, client_container, server, server_container,
        client_host, server_host, latency_ns, bytes_sent, bytes_received, 1 AS connected
    FROM joined
    UNION ALL
    SELECT
        a.recording_id, coalesce(l.timeline_id, a.recording_id) AS timeline_id, a.is_local, a.server_zone, a.client_addr, a.server_addr, a.server_port,
        a.comm AS client, a.container AS client_container, NULL AS server, NULL AS server_container, l.host AS client_host, NULL AS server_host,
        a.latency_ns, a.bytes_sent, a.bytes_received, 1 AS connected
    FROM labelled a
    LEFT JOIN places l ON l.recording_id = a.recording_id
    WHERE a.is_alone = 1
    UNION ALL
    SELECT
        t.recording_id, coalesce(l.timeline_id, t.recording_id) AS timeline_id, CASE WHEN t.daddr_scope = 'loopback' THEN 1 ELSE 0 END AS is_local,
        CASE WHEN t.daddr_scope = 'loopback' THEN coalesce(t.net_ns, 0) ELSE 0 END AS server_zone, t.saddr AS client_addr,
        t.daddr AS server_addr, t.dport AS server_port, t.comm AS client,
        CASE WHEN t.pid_ns_level > 0 OR c.container_id IS NOT NULL THEN coalesce(c.label, concat('pid_ns ', t.pid_ns)) END AS client_container,
        NULL AS server, NULL AS server_container, l.host AS client_host, NULL AS server_host, NULL AS latency_ns, NULL AS bytes_sent,
        NULL AS bytes_received, 0 AS connected
    FROM tcp_connect t
    LEFT JOIN places l ON l.recording_id = t.recording_id
    LEFT JOIN contexts c ON c.recording_id = t.recording_id AND c.cgroup_id = t.cgroup_id AND c.pid_ns = t.pid_ns
    WHERE t.outcome <> 'connected'
),
served AS (
    SELECT
        recording_id, server_zone, server_addr, server_port, server, server_container, server_host,
        row_number() OVER (PARTITION BY recording_id, server_zone, server_addr, server_port ORDER BY began_ns DESC, server, server_container) AS latest
    FROM joined
    WHERE server IS NOT NULL
),
-- On which other host: only where one alone has that address and port.
elsewhere AS (
    SELECT
        timeline_id, server_addr, server_port, max(server) AS server, max(server_container) AS server_container, max(server_host) AS server_host
    FROM joined
    WHERE server IS NOT NULL AND server_host IS NOT NULL AND is_local = 0
    GROUP BY timeline_id, server_addr, server_port
    HAVING count(DISTINCT server_host) = 1 AND count(DISTINCT concat(server, ' ', coalesce(server_container, ''))) = 1
),
named AS (
    SELECT
        a.recording_id, a.server_port AS port, a.connected, a.latency_ns, a.bytes_sent, a.bytes_received, a.client_container, a.client_host,
        coalesce(a.client, a.client_addr) AS client,
        CASE
            WHEN a.server IS NOT NULL THEN a.server_container
            WHEN s.server IS NOT NULL THEN s.server_container
            ELSE e.server_container
        END AS server_container,
        coalesce(a.server, s.server, e.server, a.server_addr) AS server,
        coalesce(a.server_host, s.server_host, e.server_host) AS server_host
    FROM attempts a
    LEFT JOIN served s
        ON s.recording_id = a.recording_id AND s.server_zone = a.server_zone AND s.server_addr = a.server_addr
            AND s.server_port = a.server_port AND s.latest = 1
    LEFT JOIN elsewhere e
        ON e.timeline_id = a.timeline_id AND e.server_addr = a.server_addr AND e.server_port = a.server_port AND a.is_local = 0
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
    client_host,
    server_host,
    recording_id
FROM named
GROUP BY recording_id, client_container, client, server_container, server, port, client_host, server_host
ORDER BY recording_id, connections DESC, failed DESC, client_container, client, server_container, server, port, client_host, server_host
