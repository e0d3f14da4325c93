-- Recorder cost: what recording took, second by second
--
-- Group: Recording
-- Question: How much CPU time, memory and disk did recording take, in the recorder and in the kernel?
-- Tables: cost, recording
-- Columns:
--   at_s           DOUBLE   s      begin of the interval, from the start of the recording; negative while probes were being made ready
--   interval_s     DOUBLE   s      its length
--   cpu_percent    DOUBLE   %      CPU time of the recorder, of one CPU
--   user_ms        DOUBLE   ms     of that in user mode
--   system_ms      DOUBLE   ms     of that in the kernel
--   bpf_percent    DOUBLE   %      time spent in BPF programs by all that called them, of one CPU; NULL where the kernel does not count it
--   bpf_runs       BIGINT   -      how often they ran; NULL as above
--   rss_bytes      BIGINT   bytes  resident memory of the recorder at the end, rings included
--   anon_bytes     BIGINT   bytes  of that anonymous memory
--   written_bytes  BIGINT   bytes  segments closed
--   recording_id   VARCHAR  -      recording
-- Parameters: none
-- Caveats: What BPF programs take, the processes pay for that are recorded; the kernel counts it from when the programs are loaded, its own counting included. By program:
--   program_cost.
SELECT
    round((c.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    round(max(c.interval_ns) / 1e9, 3) AS interval_s,
    round(100.0 * sum(CASE WHEN c.program IS NULL THEN c.cpu_user_ns + c.cpu_system_ns END) / max(c.interval_ns), 2) AS cpu_percent,
    round(sum(CASE WHEN c.program IS NULL THEN c.cpu_user_ns END) / 1e6, 3) AS user_ms,
    round(sum(CASE WHEN c.program IS NULL THEN c.cpu_system_ns END) / 1e6, 3) AS system_ms,
    round(100.0 * sum(c.run_time_ns) / max(c.interval_ns), 3) AS bpf_percent,
    CAST(sum(c.run_count) AS BIGINT) AS bpf_runs,
    max(c.rss_bytes) AS rss_bytes,
    max(c.rss_anon_bytes) AS anon_bytes,
    CAST(sum(c.written_bytes) AS BIGINT) AS written_bytes,
    c.recording_id
FROM cost c
LEFT JOIN recording r ON r.recording_id = c.recording_id
GROUP BY c.recording_id, r.start_ns, c.ts_ns
ORDER BY c.recording_id, c.ts_ns
