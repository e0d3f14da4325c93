"""Say what verifying a recording found: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from analyzer.gaps import Missing
from analyzer.text import printable
from analyzer.verify import State, Verified
from recorder.schema import NANOSECONDS

_SHOWN = 20


def as_json(found: Verified) -> dict[str, Any]:
    """Return what was found as what JSON has; times also in UTC."""
    return {
        "recording": str(found.path),
        "recording_id": found.id,
        "recorder": found.recorder,
        "state": found.state.value,
        "damaged": found.damaged,
        **{name: getattr(found, name) for name in ("segments", "rows", "bytes", "sound_segments", "sound_rows", "decodable_rows")},
        "findings": [asdict(finding) for finding in found.findings],
        "missing": missing_json(found.missing, found.offset_ns),
    }


def missing_json(missing: Sequence[Missing], offset_ns: int | None) -> list[dict[str, Any]]:
    """Return what a recording does not have as what JSON has."""
    return [asdict(item) | {"from_ts": iso(item.from_ns, offset_ns), "to_ts": iso(item.to_ns, offset_ns)} for item in missing]


def as_text(found: Verified) -> str:
    """Return what was found for people. No control characters of the recording are in it."""
    head = f"{found.name or found.path.name}: {found.state.value}"
    left = f"{found.sound_segments:,} of {found.segments:,} segments and {found.sound_rows:,} of {found.rows:,} rows are as they were written"
    if found.sound_segments == found.segments:
        left = f"{count(found.segments, 'segment')}, {count(found.rows, 'row')}, {found.bytes:,} bytes, all as they were written"
    lines = [head, f"  {left}"]
    lines += [f"  {'damaged: ' if finding.damage else 'note: '}{finding.where} {finding.what}" for finding in found.findings[:_SHOWN]]
    if more := len(found.findings) - _SHOWN:
        lines += [f"  and {more:,} more: --json has all"] if more > 0 else []
    lines += missing_lines(found.missing, found.offset_ns)
    if found.decodable_rows:
        lines.append(f"  {count(found.decodable_rows, 'row')} of what is damaged can still be decoded, though any value may be another one")
    return "\n".join(map(printable, lines))


def missing_lines(missing: Sequence[Missing], offset_ns: int | None) -> list[str]:
    """Return a line for each thing that a recording does not have."""
    lines = [f"  missing: {_missing(item, offset_ns)}" for item in missing[:_SHOWN]]
    if (more := len(missing) - _SHOWN) > 0:
        lines.append(f"  and {more:,} more: --json has all")
    return lines


def hint(found: Verified) -> str:
    """Return what to do next about a recording, or nothing."""
    if found.state is State.BEING_WRITTEN:
        return "A recorder is at work on it: what is there can be read."
    can_recover = found.damaged or any(not finding.damage for finding in found.findings) or any(not item.told for item in found.missing)
    if found.state in (State.DAMAGED, State.UNFINISHED) and can_recover:
        if found.is_packed and found.damaged:
            return "Have it packed and sent again; or unzip it, and recover what is sound of the folder: bpftape recover FOLDER"
        if found.is_packed:
            return f"To have what is missing counted as lost: bpftape unpack {found.path}, and bpftape recover the folder"
        return f"To keep what is sound, and have what is missing counted as lost: bpftape recover {found.path}"
    return ""


def _missing(item: Missing, offset_ns: int | None) -> str:
    what = item.table if item.rows is None else f"{item.table}, {count(item.rows, 'row')}"
    seconds = f"{(item.to_ns - item.from_ns) / NANOSECONDS:.3f} s"
    begin, end = utc(item.from_ns, offset_ns), utc(item.to_ns, offset_ns)
    when = f"from {begin} to {end[11:] if end[:10] == begin[:10] else end} UTC ({seconds})" if begin and end else f"in {seconds}"
    return f"{what} {when}: {item.why}"


def utc(boottime_ns: int, offset_ns: int | None) -> str:
    """Return a time of CLOCK_BOOTTIME as the wall clock had it, UTC, to the millisecond; nothing where that is not known."""
    if offset_ns is None:
        return ""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=(boottime_ns + offset_ns) // 1_000_000)
    except OverflowError:
        return ""
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03}"


def iso(boottime_ns: int, offset_ns: int | None) -> str | None:
    """Return the same as JSON has it, None where it is not known."""
    return utc(boottime_ns, offset_ns).replace(" ", "T") or None


def count(number: int, what: str) -> str:
    """Return how many there are, in words."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
