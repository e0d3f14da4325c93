-- Container connects: TCP connects that were made in containers
--
-- Group: Containers
-- Question: Which containers connected where, how long did it take, and what came of it?
-- Tables: tcp_connect, container, recording
-- Columns:
--   at_s          DOUBLE   s    when it was decided, from the start of the recording
--   container     VARCHAR  -    name of the container, else its host name, or its id where that is the host's; pid_ns NUMBER: it was not recorded
--   id            VARCHAR  -    first 12 characters of the runtime's id; NULL for bare namespaces
--   runtime       VARCHAR  -    docker, containerd, cri-o, podman, lxc or systemd-nspawn; NULL for bare namespaces
--   pid           INTEGER  -    process that called connect, in the initial pid namespace
--   comm          VARCHAR  -    its name
--   saddr         VARCHAR  -    local address; NULL when none was assigned
--   daddr         VARCHAR  -    address of the peer
--   dport         INTEGER  -    port of the peer
--   latency_ms    DOUBLE   ms   from SYN to ESTABLISHED; NULL unless connected
--   result        VARCHAR  -    connected, the name of the errno, failed (errno not known), closed (by the process, undecided), pending (undecided at the end)
--   image         VARCHAR  -    image that the container was made from; NULL when not known
--   pod_uid       VARCHAR  -    Kubernetes' uid of its pod; NULL without one
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters: none
-- Caveats: A container is a pid namespace below the host's, or a cgroup that a runtime made: browsers and build tools make pid namespaces, too. Its name is the
--   last one that was seen. Connects of the host itself are in tcp_connects. On hosts with cgroup v1 and v2, containers that only v1 tells apart and that share
--   a pid namespace, with each other or with the host, are not named (pid_ns NUMBER) or not here.
SELECT
    round((t.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    coalesce(c.label, concat('pid_ns ', t.pid_ns)) AS container,
    left(c.container_id, 12) AS id,
    c.runtime,
    t.pid,
    t.comm,
    t.saddr,
    t.daddr,
    t.dport,
    round(t.latency_ns / 1e6, 3) AS latency_ms,
    CASE WHEN t.outcome = 'failed' THEN coalesce(errno_name(t.errno), 'failed') ELSE t.outcome END AS result,
    c.image,
    c.pod_uid,
    t.start_ns,
    t.recording_id
FROM tcp_connect t
LEFT JOIN container_context c ON c.recording_id = t.recording_id AND c.cgroup_id = t.cgroup_id AND c.pid_ns = t.pid_ns
LEFT JOIN recording r ON r.recording_id = t.recording_id
WHERE t.pid_ns_level > 0 OR c.container_id IS NOT NULL
ORDER BY t.recording_id, t.ts_ns, t.pid, t.start_ns, t.tid, t.daddr, t.dport, t.saddr, t.sport, t.net_ns
