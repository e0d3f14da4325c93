"""Say what recovering a recording did: for people, and as JSON."""

from __future__ import annotations

from typing import Any

from analyzer.text import printable
from analyzer.verify_text import count, iso, missing_json, missing_lines, utc
from recorder.recover import Recovered


def as_json(done: Recovered) -> dict[str, Any]:
    """Return what was done as what JSON has."""
    return {
        "recording": str(done.path),
        "changed": done.changed,
        **{name: getattr(done, name) for name in ("taken_in", "rows", "put_out", "left", "manifest")},
        "counted_as_lost": missing_json(done.counted, done.offset_ns),
        "missing": missing_json(done.missing, done.offset_ns),
        "covered_to_ts": None if done.covered_to_ns is None else iso(done.covered_to_ns, done.offset_ns),
    }


def as_text(done: Recovered) -> str:
    """Return what was done for people. No control characters of the recording are in it."""
    lines = [f"{done.path.name}: {'recovered' if done.changed else 'nothing to recover'}"]
    lines += [f"  manifest: {done.manifest}"] if done.manifest else []
    lines += [f"  taken in: {name}" for name in done.taken_in]
    lines += [f"  {count(done.rows, 'row')} more than before"] if done.taken_in else []
    lines += [f"  damaged, and out of use from now on: {name}" for name in done.put_out]
    lines += [f"  left, for it is not whole: {name}" for name in done.left]
    lines += missing_lines(done.missing, done.offset_ns)
    if done.counted:
        lost = count(sum(item.rows or 0 for item in done.counted), "row")
        lines.append(f"  {lost} more counted as lost: every answer that they are missing from will say so")
    if done.covered_to_ns is not None and (when := utc(done.covered_to_ns, done.offset_ns)):
        lines.append(f"  nothing is known of what came after {when} UTC: the recorder was ended at most some seconds later")
    return "\n".join(map(printable, lines))
