-- a pid namespace and cgroup that processes of one container run in, and what that container is called
--
-- Tables: container
-- Columns:
--   pid_ns        BIGINT   -  Inode of the pid namespace; with cgroup_id and recording_id what rows of other tables are joined by
--   cgroup_id     BIGINT   -  Cgroup in it; a container may have several: those below its own, and that of who makes or enters it
--   label         VARCHAR  -  Name of the container, else its host name, or the first 12 characters of its id where that is the host's
--   container_id  VARCHAR  -  The runtime's id; NULL for bare namespaces
--   name          VARCHAR  -  Name that users know it by; NULL when not known
--   nodename      VARCHAR  -  Host name in it, which may be the host's
--   runtime       VARCHAR  -  docker, containerd, cri-o, podman, lxc or systemd-nspawn; NULL for bare namespaces
--   pod_uid       VARCHAR  -  Kubernetes' uid of its pod; NULL without one
--   image         VARCHAR  -  Image that it was made from; NULL when not known
--   host          VARCHAR  -  Host that it was on
--   recording_id  VARCHAR  -  Recording
-- Caveats: Each is called what it was called last. Containers that only cgroup v1 tells apart, on hosts with v1 and v2, are not here where they share a pid namespace
--   with each other or with the host. Who makes or enters a container is in its pid namespace before being in its cgroup, and counts as in it, unless
--   the kernel gave the number of that namespace to several containers.
WITH seen AS (
    SELECT
        recording_id, host, ts_ns, cgroup_id, pid_ns, uts_ns, nodename, container_id, name, runtime, pod_uid, image,
        -- A container that shares the host's name is better known by its id.
        coalesce(name, CASE WHEN nodename <> host THEN nodename END, left(container_id, 12), nodename) AS label,
        -- Who makes a container inside of this one has its host name first: it is not this one's.
        CASE WHEN max(pid_ns_level) OVER (PARTITION BY recording_id, uts_ns) > pid_ns_level THEN 1 ELSE 0 END AS is_inner,
        -- Containers that only their groups of cgroup v1 tell apart, which are not in other tables' rows: from each other, or from the host's processes.
        CASE
            WHEN min(container_id) OVER (PARTITION BY recording_id, cgroup_id, pid_ns) <> max(container_id) OVER (PARTITION BY recording_id, cgroup_id, pid_ns)
                THEN 1
            WHEN pid_ns_level = 0 AND memory_cgroup_id IS NOT NULL AND position(container_id IN cgroup_path) = 0 THEN 1
            ELSE 0
        END AS is_mixed,
        -- Whether a pid namespace below the host's is that of one container alone, and when that was seen first.
        CASE
            WHEN pid_ns_level > 0 AND min(container_id) OVER (PARTITION BY recording_id, pid_ns) = max(container_id) OVER (PARTITION BY recording_id, pid_ns)
                THEN 1
            ELSE 0
        END AS is_of_one,
        min(CASE WHEN container_id IS NOT NULL THEN ts_ns END) OVER (PARTITION BY recording_id, pid_ns) AS one_ns
    FROM container
    WHERE pid_ns_level > 0 OR container_id IS NOT NULL
),
numbered AS (
    SELECT
        recording_id, host, ts_ns, cgroup_id, pid_ns, label, container_id, name, nodename, runtime, pod_uid, image, is_of_one, one_ns,
        row_number() OVER (PARTITION BY recording_id, cgroup_id, pid_ns ORDER BY is_inner, ts_ns DESC, nodename, uts_ns) AS latest,
        first_value(label) OVER one AS one_label,
        first_value(container_id) OVER one AS one_id,
        first_value(name) OVER one AS one_name,
        first_value(nodename) OVER one AS one_nodename,
        first_value(runtime) OVER one AS one_runtime,
        first_value(pod_uid) OVER one AS one_pod_uid,
        first_value(image) OVER one AS one_image
    FROM seen
    WHERE is_mixed = 0
    WINDOW one AS (
        PARTITION BY recording_id, pid_ns ORDER BY CASE WHEN container_id IS NULL THEN 1 ELSE 0 END, is_inner, ts_ns DESC, nodename, uts_ns, cgroup_id
    )
),
-- Who is in a container's pid namespace and not in its cgroup: its maker at first, who has the host name of another, and later who enters it. The kernel gives the
-- numbers of namespaces again: what has another host name later, or was there long before, is not of that container. (Not by a join of seen with itself: DuckDB
-- 2.0.1 fails to bind that where no pid namespace is below the host's.)
placed AS (
    SELECT
        recording_id, host, cgroup_id, pid_ns, label, container_id, name, nodename, runtime, pod_uid, image, one_label, one_id, one_name, one_nodename,
        one_runtime, one_pod_uid, one_image,
        CASE
            WHEN container_id IS NULL AND is_of_one = 1 AND (nodename = one_nodename OR one_ns - ts_ns BETWEEN 0 AND 60000000000) THEN 1
            ELSE 0
        END AS is_beside
    FROM numbered
    WHERE latest = 1
)
SELECT
    pid_ns,
    cgroup_id,
    CASE WHEN is_beside = 1 THEN one_label ELSE label END AS label,
    CASE WHEN is_beside = 1 THEN one_id ELSE container_id END AS container_id,
    CASE WHEN is_beside = 1 THEN one_name ELSE name END AS name,
    CASE WHEN is_beside = 1 THEN one_nodename ELSE nodename END AS nodename,
    CASE WHEN is_beside = 1 THEN one_runtime ELSE runtime END AS runtime,
    CASE WHEN is_beside = 1 THEN one_pod_uid ELSE pod_uid END AS pod_uid,
    CASE WHEN is_beside = 1 THEN one_image ELSE image END AS image,
    host,
    recording_id
FROM placed
