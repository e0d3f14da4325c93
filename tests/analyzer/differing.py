"""``bpftape diff`` as tests type it, and rows that differ in nothing but what a test changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from analyzer.diff.run import Request, compared
from analyzer.recording import open_recordings
from tests.analyzer.conftest import run
from tests.rows import Rows, read_rows


def verb(*arguments: str | Path, **options: Any) -> Any:
    """Type ``bpftape diff``."""
    return run("recorder.bpftape", "diff", *arguments, **options)


def differences(a: Path, b: Path, *only: str, everything: bool = False, each_port: bool = False) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows of the answer by aspect and what they are about."""
    request = Request(a, b, only=only, everything=everything, each_port=each_port)
    answer = compared(request, open_recordings([a]), open_recordings([b]))
    names = [field.name for field in answer.fields]
    rows = [dict(zip(names, row, strict=True)) for batch in answer.result.batches for row in batch]
    return {(row["aspect"], row["what"]): row for row in rows}


def quiet_rows() -> Rows:
    """Return the hand-written rows without their losses and gaps, and without filters."""
    rows = read_rows()
    start_ns, end_ns = rows["recording"][0]["start_ns"], rows["recording"][0]["end_ns"]
    whole = rows["coverage"][0] | {"ts_ns": start_ns, "interval_ns": end_ns - start_ns, "lost": 0, "attached": True, "unwritten": None}
    rows["coverage"] = [
        whole | {"tracer": row["tracer"], "table": row["table"], "events": len(rows.get(row["table"], []))}
        for row in {row["table"]: row for row in rows["coverage"]}.values()
    ]
    rows["recording"][0] |= {"clean_end": True, "filters": []}
    rows["probe"] = [row | {"status": "attached", "reason": None} for row in rows["probe"]]
    return rows
