"""Rows are written as they come: a long answer takes no more memory than a short one, in any format."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.render import formats, load
from tests.support import REPO

TEXT_BYTES = 400
GROWTH_MAX_MIB = 64
# What their rows would take as Python objects is several times the growth that is allowed.
MANY = {"csv": 1_000_000, "parquet": 3_000_000}
ROWS = 200_000
FEW, FULL_GROUP = 2_000, 100_000  # of rows; Parquet is written in groups of that many


def peak_mib(rows: int, form: str, recording: Path, tmp_path: Path) -> float:
    """Return the largest resident size of ``analyze`` while it writes so many rows."""
    sql = f"SELECT i, repeat('x', {TEXT_BYTES}) AS t FROM range({rows}) t(i)"
    target = os.devnull if form != "parquet" else tmp_path / "out.parquet"  # as text these rows would be several GB
    process = subprocess.Popen(
        [sys.executable, "-m", "analyzer.cli", "--sql", sql, str(recording), "--format", form, "-o", str(target)], cwd=REPO, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.parametrize("form", [form for form in formats() if load(form).TRAITS.streams])
def test_memory_does_not_grow_with_the_rows(form: str, recording: Path, tmp_path: Path) -> None:
    rows = MANY.get(form, ROWS)
    assert rows * TEXT_BYTES > GROWTH_MAX_MIB << 20
    grown = peak_mib(rows, form, recording, tmp_path) - peak_mib(FEW if form != "parquet" else FULL_GROUP, form, recording, tmp_path)
    assert grown < GROWTH_MAX_MIB
