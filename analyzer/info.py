"""Describe one recording without a report: host, window, tables, losses, probes, and what recording cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from analyzer.recording import Recording
from analyzer.result import Field
from analyzer.sandbox import Sandbox
from analyzer.text import printable
from analyzer.trust import Trust, assess
from analyzer.values import to_json, to_text
from analyzer.wording import line
from recorder.schema import TABLES

_ABOUT = """
SELECT host, kernel, arch, cpus, machine_id, boot_id, command_line, tracers, filters, recorder_version, start_ts, end_ts, end_reason FROM recording
"""

_COUNTS = 'SELECT "table", any_value(tracer), CAST(sum(events) AS BIGINT), CAST(sum(lost) AS BIGINT) FROM coverage GROUP BY "table"'

_PROBES = "SELECT tracer, hook, status, reason FROM probe ORDER BY status = 'attached', tracer, hook"

_COST = """
SELECT
    CAST(sum(cpu_user_ns + cpu_system_ns) AS BIGINT), CAST(sum(interval_ns) FILTER (WHERE program IS NULL) AS BIGINT),
    max(rss_bytes), max(rss_anon_bytes), CAST(sum(written_bytes) AS BIGINT), CAST(sum(run_count) AS BIGINT), CAST(sum(run_time_ns) AS BIGINT)
FROM cost
"""


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table: what the manifest says of its files, and what the kernel counted; None where no tracer makes it or nothing was counted."""

    table: str
    rows: int
    bytes: int
    segments: int
    tracer: str | None
    events: int | None
    lost: int | None


@dataclass(frozen=True, slots=True)
class Info:
    """All that ``bpftape info`` says. ``about`` is the row of the table recording, empty where there is none."""

    recording: Recording
    about: dict[str, Any]
    tables: tuple[TableInfo, ...]
    probes: tuple[tuple[str, str, str, str | None], ...]
    cost: dict[str, int | float | None]
    trust: Trust


def gather(sandbox: Sandbox) -> Info:
    """Return what is known about the sandbox's only recording; raise AnalyzerError where a file of it cannot be read."""
    (recording,) = sandbox.recordings
    about = sandbox.rows(_ABOUT, ["recording"])
    names = _ABOUT.split("FROM")[0].replace("SELECT", "").replace(",", " ").split()
    counted = {row[0]: row[1:] for row in sandbox.rows(_COUNTS, ["coverage"])}
    tables = []
    present = {*recording.tables, *counted}
    for table in [*(name for name in TABLES if name in present), *sorted(present - set(TABLES))]:
        segments = recording.tables.get(table, [])
        tracer, events, lost = counted.get(table, (None, None, None))
        rows, size = sum(segment.rows for segment in segments), sum(segment.bytes for segment in segments)
        tables.append(TableInfo(table, rows, size, len(segments), tracer, events, lost))
    return Info(
        recording,
        dict(zip(names, about[0], strict=True)) if about else {},
        tuple(tables),
        tuple(sandbox.rows(_PROBES, ["probe"])),
        _cost(*sandbox.rows(_COST, ["cost"])[0]),
        assess(sandbox, [table.name for table in TABLES.values() if table.name in counted or table.name in recording.tables]),
    )


def _cost(
    cpu_ns: int | None,
    interval_ns: int | None,
    rss_bytes: int | None,
    rss_anon_bytes: int | None,
    written_bytes: int | None,
    run_count: int | None,
    run_time_ns: int | None,
) -> dict[str, int | float | None]:
    return {
        "cpu_ns": cpu_ns,
        "cpu_share": round(cpu_ns / interval_ns, 4) if cpu_ns is not None and interval_ns else None,
        "rss_bytes": rss_bytes,
        "rss_anon_bytes": rss_anon_bytes,
        "written_bytes": written_bytes,
        "bpf_run_count": run_count,
        "bpf_run_time_ns": run_time_ns,
    }


def as_json(info: Info) -> dict[str, Any]:
    """Return ``info`` as what JSON has."""
    (window,) = info.trust.windows
    return {
        "recording": str(info.recording.path),
        "recording_id": info.recording.id,
        "format": info.recording.format,
        "recorder": info.recording.recorder,
        **{name: to_json(value) for name, value in info.about.items()},
        "duration_ns": window.end_ns - window.start_ns,
        "clean_end": window.clean,
        "being_written": info.recording.being_written,
        "manifest_torn": info.recording.torn,
        "shared": asdict(info.recording.shared) if info.recording.shared else None,
        "coverage": info.trust.verdict.label,
        "tables": [asdict(table) for table in info.tables],
        "probes": [dict(zip(("tracer", "hook", "status", "reason"), probe, strict=True)) for probe in info.probes],
        "cost": info.cost,
    }


def as_text(info: Info) -> str:
    """Return ``info`` for people. No control characters of the recording are in it."""
    lines = [f"{title:<10} {printable(text)}" for title, text in (*_facts(info), ("probes", _probes(info)), ("cost", _costs(info)))]
    lines += [f"{'':<10} {printable(f'{tracer}: {hook} {status}: {reason}')}" for tracer, hook, status, reason in info.probes if status != "attached"]
    return "\n".join([*lines, "", _tables(info), line(info.trust, {info.recording.id: info.recording.name})])


def _facts(info: Info) -> list[tuple[str, str]]:
    about, (window,) = info.about, info.trust.windows
    facts = [
        ("recording", f"{info.recording.name} (format {info.recording.format}, written by {info.recording.recorder})"),
        ("id", info.recording.id),
    ]
    if about:
        filters = ", ".join(about["filters"]) or "none"
        ended = f"to {to_text(about['end_ts'])}" if about["end_ts"] else "to an end that was not written"
        facts += [
            ("host", f"{about['host']}, Linux {about['kernel']} {about['arch']}, {about['cpus']} CPUs"),
            ("window", f"{to_text(about['start_ts'])} UTC {ended}, {window.seconds:.1f} s"),
            ("end", f"clean: {about['end_reason']}" if window.clean else _without_end(info.recording)),
            ("command", " ".join(about["command_line"])),
            ("filters", filters),
        ]
    if info.recording.shared:
        facts.append(("shared", f"a copy under the policy {info.recording.shared.policy}: names in it are pseudonyms"))
    if info.recording.torn:
        facts.append(("manifest", "its last line is cut off; the segment of that line is not used"))
    return facts


def _without_end(recording: Recording) -> str:
    if recording.being_written:
        return "none yet: it is still being written"
    if recording.shared and recording.shared.being_written:
        return "unfinished: it was still being written when this copy was made"
    return "unfinished: killed, or still being written"


def _probes(info: Info) -> str:
    attached = sum(status == "attached" for _, _, status, _ in info.probes)
    failed = len(info.probes) - attached
    return f"{attached} attached" + (f", {failed} not:" if failed else "")


def _costs(info: Info) -> str:
    cost = info.cost
    if cost["cpu_share"] is None:
        return "not recorded"
    parts = [f"{cost['cpu_share'] * 100:.1f} % of a CPU", f"at most {_mib(cost['rss_bytes'])} resident ({_mib(cost['rss_anon_bytes'])} anonymous)"]
    if cost["bpf_run_count"]:
        mean_ns = (cost["bpf_run_time_ns"] or 0) / cost["bpf_run_count"]
        parts.append(f"{cost['bpf_run_count']:,} runs of BPF programs, {mean_ns:,.0f} ns each")
    return "; ".join(parts)


def _mib(size: float | None) -> str:
    return "unknown" if size is None else f"{size / (1 << 20):.1f} MiB"


def _tables(info: Info) -> str:
    import io

    from analyzer.grid import write_grid

    fields = [Field("table", "VARCHAR"), *(Field(name, "BIGINT") for name in ("rows", "bytes", "segments", "events", "lost"))]
    rows: list[tuple[Any, ...]] = [(item.table, item.rows, item.bytes, item.segments, item.events, item.lost) for item in info.tables]
    out = io.StringIO()
    write_grid(fields, [rows] if rows else [], out, None)
    return out.getvalue()
