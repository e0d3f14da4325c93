-- Everything connected to was inside of one network
--
-- Group: TCP
-- Question: Did any process connect, or try to, to an address outside of a network?
-- Expect: rows = 0
-- Tables: tcp_connect, recording
-- Columns:
--   at_s          DOUBLE   s    when it was called, from the start of the recording
--   pid           INTEGER  -    process that called connect
--   comm          VARCHAR  -    its name
--   daddr         VARCHAR  -    address outside of the network
--   dport         INTEGER  -    port there
--   outcome       VARCHAR  -    what came of it
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters:
--   net  VARCHAR  10.0.0.0/8  network in CIDR notation
-- Caveats: Loopback addresses are this host, and inside. UDP is not recorded: a name may have been looked up anywhere.
SELECT
    round((c.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    c.pid,
    c.comm,
    c.daddr,
    c.dport,
    c.outcome,
    c.start_ns,
    c.recording_id
FROM tcp_connect c
LEFT JOIN recording r ON r.recording_id = c.recording_id
WHERE NOT coalesce(in_cidr(c.daddr, $net), false) AND coalesce(c.daddr_scope, '') <> 'loopback'
ORDER BY c.recording_id, c.ts_ns, c.pid, c.start_ns, c.daddr, c.dport, c.outcome
