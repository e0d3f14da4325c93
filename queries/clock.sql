-- Clock: steps of the wall clock, sleep, and how wrong it may be
--
-- Group: Recording
-- Question: Was the wall clock set during the recording, or did the machine sleep, how far are the times in it to be corrected, and how wrong may they be?
-- Tables: clock, recording
-- Columns:
--   at_s            DOUBLE   s    when the clocks were read, from the start of the recording
--   found           VARCHAR  -    step: the wall clock was set since the reading before; sleep: the machine was suspended; step, sleep: both; NULL: neither
--   step_us         DOUBLE   us   how far the wall clock went ahead of CLOCK_BOOTTIME since the reading before; negative: it fell behind; NULL in the first
--   off_us          DOUBLE   us   the same since the first reading: add it to the ts of a row to have the wall clock of that time
--   asleep_ms       DOUBLE   ms   how long the machine was suspended since the reading before; NULL in the first
--   uncertainty_us  DOUBLE   us   how long reading the clocks took, this time and the time before: less than that is neither a step nor sleep
--   synchronized    BOOLEAN  -    something (NTP, PTP) corrected the wall clock; NULL where the kernel did not tell
--   maxerror_ms     DOUBLE   ms   how far the wall clock may be from UTC, by what corrects it; NULL where nothing does, or it does not say
--   recording_id    VARCHAR  -    recording
-- Parameters: none
-- Caveats: The ts of all rows goes on from the first reading, whatever the wall clock does. NTP's slewing moves CLOCK_BOOTTIME as well and does not show. What
--   corrects a clock knows its error as far as it knows its servers' errors; systemd-timesyncd never says.
WITH readings AS (
    SELECT
        recording_id, boottime_ns, realtime_ns - boottime_ns AS offset_ns,
        first_value(realtime_ns - boottime_ns) OVER in_order AS first_offset_ns,
        realtime_ns - boottime_ns - lag(realtime_ns - boottime_ns) OVER in_order AS step_ns,
        boottime_ns - monotonic_ns - lag(boottime_ns - monotonic_ns) OVER in_order AS asleep_ns,
        width_ns + coalesce(lag(width_ns) OVER in_order, 0) AS uncertainty_ns,
        is_synchronized, CASE WHEN is_synchronized AND esterror_us > 0 THEN maxerror_us END AS maxerror_us
    FROM clock
    WINDOW in_order AS (PARTITION BY recording_id ORDER BY boottime_ns)
)
SELECT
    round((c.boottime_ns - r.start_ns) / 1e9, 3) AS at_s,
    CASE WHEN abs(c.step_ns) > c.uncertainty_ns AND abs(c.asleep_ns) > c.uncertainty_ns THEN 'step, sleep' WHEN abs(c.step_ns) > c.uncertainty_ns THEN 'step'
        WHEN abs(c.asleep_ns) > c.uncertainty_ns THEN 'sleep' END AS found,
    round(c.step_ns / 1e3, 3) + 0.0 AS step_us,
    round((c.offset_ns - c.first_offset_ns) / 1e3, 3) + 0.0 AS off_us,
    round(c.asleep_ns / 1e6, 3) + 0.0 AS asleep_ms,
    round(c.uncertainty_ns / 1e3, 3) AS uncertainty_us,
    c.is_synchronized AS synchronized,
    round(c.maxerror_us / 1e3, 3) AS maxerror_ms,
    c.recording_id
FROM readings c
LEFT JOIN recording r ON r.recording_id = c.recording_id
ORDER BY c.recording_id, c.boottime_ns
