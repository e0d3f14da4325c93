"""What `analyze` adds to Python with typer and duckdb imported and one query run, the same query of the
canned recording, in alternation."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "fixtures" / "demo.bpftape"
RUNS = 21
QUERY = "SELECT comm, count(*) AS n FROM {} GROUP BY comm ORDER BY n DESC, comm"
_BARE = """
import sys, typer, duckdb
for row in duckdb.connect().execute(sys.argv[1]).fetchall():
    print(*row, sep=",")
"""


def _seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def measure() -> dict[str, Any]:
    """Run both in turn; return the medians and their ratio."""
    analyze = [str(Path(sys.executable).parent / "analyze"), "--sql", QUERY.format("exec"), str(FIXTURE), "--format", "csv"]
    bare = [sys.executable, "-c", _BARE, QUERY.format(f"read_parquet('{FIXTURE}/exec/*.parquet')")]
    # As both are used after an installation: from compiled modules.
    environment = os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _seconds(analyze), _seconds(bare)
    times = [(_seconds(analyze), _seconds(bare)) for _ in range(RUNS)]
    if environment is not None:
        os.environ["PYTHONDONTWRITEBYTECODE"] = environment
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"  analyze {ours * 1e3:.0f} ms, bare {theirs * 1e3:.0f} ms")
    return {"analyze_ms": round(ours * 1e3), "bare_ms": round(theirs * 1e3), "ratio": round(ours / theirs, 3)}
