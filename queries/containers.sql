-- Containers: what there was, and what it did
--
-- Group: Containers
-- Question: Which containers were there, when, from which images, what ran in them, and how did that go?
-- Tables: container, exec, exit, process, tcp_connect, tcp_accept, tcp_close, recording
-- Optional: exec, exit, process, tcp_connect, tcp_accept, tcp_close
-- Columns:
--   container        VARCHAR  -      name of the container, else its host name, or its id where that is the host's; pid_ns NUMBER: it was not recorded
--   id               VARCHAR  -      first 12 characters of the runtime's id; NULL for bare namespaces
--   runtime          VARCHAR  -      docker, containerd, cri-o, podman, lxc or systemd-nspawn; NULL for bare namespaces
--   image            VARCHAR  -      image that it was made from; NULL when not known
--   pod_uid          VARCHAR  -      Kubernetes' uid of its pod; NULL without one
--   started_s        DOUBLE   s      birth of its oldest process that was seen, from the start of the recording; negative: it was there before
--   last_s           DOUBLE   s      last event in it
--   processes        BIGINT   -      processes that were seen in it
--   running          BIGINT   -      those of them whose end was not seen
--   failed           BIGINT   -      those that ended with a code other than 0, or by a signal
--   connects         BIGINT   -      TCP connects that they tried
--   connects_failed  BIGINT   -      those of them that failed
--   accepts          BIGINT   -      TCP connections that they accepted
--   bytes_sent       BIGINT   bytes  data sent on connections that ended
--   bytes_received   BIGINT   bytes  data received on these
--   recording_id     VARCHAR  -      recording
-- Parameters: none
-- Caveats: A container is a pid namespace below the host's, or a cgroup that a runtime made: browsers and build tools make pid namespaces, too. Processes are those
--   that executed something, ended, connected or accepted in it, or were there when the recording began.
--   On hosts with cgroup v1 and v2, containers that only v1 tells apart and that share a pid namespace, with each other or with the host, are not named (pid_ns
--   NUMBER) or not here.
WITH events AS (
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        0 AS bytes_sent, 0 AS bytes_received
    FROM exec
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 1 AS ended, CASE WHEN exit_code <> 0 OR signal IS NOT NULL THEN 1 ELSE 0 END AS failed,
        0 AS connect, 0 AS connect_failed, 0 AS accept, 0 AS bytes_sent, 0 AS bytes_received
    FROM exit
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        0 AS bytes_sent, 0 AS bytes_received
    FROM process
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        0 AS bytes_sent, 0 AS bytes_received
    FROM container
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 1 AS connect,
        CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END AS connect_failed, 0 AS accept, 0 AS bytes_sent, 0 AS bytes_received
    FROM tcp_connect
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 0 AS connect, 0 AS connect_failed, 1 AS accept,
        0 AS bytes_sent, 0 AS bytes_received
    FROM tcp_accept
    UNION ALL
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, ts_ns, pid, start_ns, 0 AS ended, 0 AS failed, 0 AS connect, 0 AS connect_failed, 0 AS accept,
        bytes_sent, bytes_received
    FROM tcp_close
    WHERE pid IS NOT NULL
),
-- By process first: counting different processes among all events would take longer than all the rest.
by_process AS (
    SELECT
        recording_id, cgroup_id, pid_ns, pid_ns_level, pid, start_ns, max(ts_ns) AS ts_ns, max(ended) AS ended, sum(failed) AS failed, sum(connect) AS connects,
        sum(connect_failed) AS connects_failed, sum(accept) AS accepts, sum(bytes_sent) AS bytes_sent, sum(bytes_received) AS bytes_received
    FROM events
    GROUP BY recording_id, cgroup_id, pid_ns, pid_ns_level, pid, start_ns
),
-- One container may have several contexts: cgroups below its own, a new host name.
inside AS (
    SELECT
        e.recording_id, coalesce(c.container_id, concat('pid_ns ', e.pid_ns)) AS place, c.container_id, c.label, c.runtime, c.image, c.pod_uid,
        e.ts_ns, e.pid, e.start_ns, e.ended, e.failed, e.connects, e.connects_failed, e.accepts, e.bytes_sent, e.bytes_received
    FROM by_process e
    LEFT JOIN container_context c ON c.recording_id = e.recording_id AND c.cgroup_id = e.cgroup_id AND c.pid_ns = e.pid_ns
    WHERE e.pid_ns_level > 0 OR c.container_id IS NOT NULL
),
labels AS (
    SELECT
        recording_id, place, label,
        row_number() OVER (PARTITION BY recording_id, place ORDER BY CASE WHEN label IS NULL THEN 1 ELSE 0 END, ts_ns DESC, label) AS latest
    FROM inside
),
totals AS (
    SELECT
        recording_id, place, max(container_id) AS container_id, max(runtime) AS runtime, max(image) AS image, max(pod_uid) AS pod_uid,
        min(start_ns) AS started_ns, max(ts_ns) AS last_ns, count(DISTINCT concat(pid, ' ', start_ns)) AS processes,
        count(DISTINCT CASE WHEN ended = 1 THEN concat(pid, ' ', start_ns) END) AS ended, sum(failed) AS failed, sum(connects) AS connects,
        sum(connects_failed) AS connects_failed, sum(accepts) AS accepts, sum(bytes_sent) AS bytes_sent, sum(bytes_received) AS bytes_received
    FROM inside
    GROUP BY recording_id, place
)
SELECT
    coalesce(l.label, t.place) AS container,
    left(t.container_id, 12) AS id,
    t.runtime,
    t.image,
    t.pod_uid,
    round((t.started_ns - r.start_ns) / 1e9, 3) AS started_s,
    round((t.last_ns - r.start_ns) / 1e9, 3) AS last_s,
    t.processes,
    t.processes - t.ended AS running,
    CAST(t.failed AS BIGINT) AS failed,
    CAST(t.connects AS BIGINT) AS connects,
    CAST(t.connects_failed AS BIGINT) AS connects_failed,
    CAST(t.accepts AS BIGINT) AS accepts,
    CAST(t.bytes_sent AS BIGINT) AS bytes_sent,
    CAST(t.bytes_received AS BIGINT) AS bytes_received,
    t.recording_id
FROM totals t
JOIN labels l ON l.recording_id = t.recording_id AND l.place = t.place AND l.latest = 1
LEFT JOIN recording r ON r.recording_id = t.recording_id
ORDER BY t.recording_id, t.started_ns, t.place
