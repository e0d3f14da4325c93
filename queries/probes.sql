-- Probes: what was attached where, and what was not
--
-- Group: Recording
-- Question: Which hooks were asked for, which were attached and for how long, and why were the others not?
-- Tables: probe, recording
-- Columns:
--   tracer        VARCHAR    -    tracer that asked for it
--   hook          VARCHAR    -    kind and name of the kernel hook
--   tables        VARCHAR[]  -    tables whose rows need it
--   status        VARCHAR    -    attached or failed
--   reason        VARCHAR    -    why it could not be attached; NULL when it was
--   program_id    INTEGER    -    the kernel's id of the BPF program; NULL when not attached
--   attached_s    DOUBLE     s    when it was attached, from the start of the recording; that is when the last one was
--   detached_s    DOUBLE     s    when it was detached; NULL: after a kill, or while recording
--   recording_id  VARCHAR    -    recording
-- Parameters: none
-- Caveats: Iterators list what is there once, and leave. A table is whole only where all of its hooks were attached.
SELECT
    p.tracer,
    p.hook,
    p.tables,
    p.status,
    p.reason,
    p.program_id,
    round((p.attached_ns - r.start_ns) / 1e9, 3) AS attached_s,
    round((p.detached_ns - r.start_ns) / 1e9, 3) AS detached_s,
    p.recording_id
FROM probe p
LEFT JOIN recording r ON r.recording_id = p.recording_id
ORDER BY p.recording_id, CASE WHEN p.status = 'attached' THEN 1 ELSE 0 END, p.tracer, p.hook, p.attached_ns, p.program_id
