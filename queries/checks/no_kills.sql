-- No process was killed by a signal
--
-- Group: Processes
-- Question: Did a signal end any process?
-- Expect: rows = 0
-- Tables: exit, recording
-- Columns:
--   at_s          DOUBLE   s    when it ended, from the start of the recording
--   pid           INTEGER  -    process that was ended
--   comm          VARCHAR  -    its name
--   signal        VARCHAR  -    signal that ended it
--   core_dumped   BOOLEAN  -    a core was dumped
--   life_ms       DOUBLE   ms   how long it had lived
--   start_ns      BIGINT   ns   birth of the process, CLOCK_BOOTTIME; with pid and recording_id its key
--   recording_id  VARCHAR  -    recording
-- Parameters:
--   allowed  VARCHAR  none  names of signals that are no fault, with commas between them, e.g. SIGPIPE,SIGTERM
-- Caveats: A process that catches a signal and then exits by itself is not one that was killed.
SELECT
    round((e.ts_ns - r.start_ns) / 1e9, 3) AS at_s,
    e.pid,
    e.comm,
    signal_name(e.signal) AS signal,
    e.core_dumped,
    round(e.duration_ns / 1e6, 3) AS life_ms,
    e.start_ns,
    e.recording_id
FROM exit e
LEFT JOIN recording r ON r.recording_id = e.recording_id
WHERE e.signal IS NOT NULL AND NOT contains(concat(',', $allowed, ','), concat(',', signal_name(e.signal), ','))
ORDER BY e.recording_id, e.ts_ns, e.pid, e.start_ns
