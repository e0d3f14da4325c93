"""How Parquet files are opened. In a process of its own, since Arrow's threads stay once they are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPO

READ = {
    "batches": "list(file.iter_batches(use_threads=False))",
    "a row group": "file.read_row_group(0, use_threads=False)",
    "a column": "file.read(columns=['ts_ns'], use_threads=False)",
}
COUNT = """
import io, os, sys
import pyarrow.parquet as pq
from analyzer.parquet import open_parquet

def read():
    with io.FileIO(sys.argv[1]) as raw, {opened} as file:
        {how}

before = len(os.listdir("/proc/self/task"))
read()
print(len(os.listdir("/proc/self/task")) - before)
"""


def threads_for(opened: str, how: str, segment: Path) -> int:
    words = [sys.executable, "-c", COUNT.format(opened=opened, how=how), str(segment)]
    return int(subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("how", READ)
def test_nobody_but_the_reader_holds_a_file_of_pythons(how: str) -> None:
    segment = sorted((REPO / "fixtures").glob("*/exec/000000.parquet"))[0]
    assert threads_for("open_parquet(raw)", READ[how], segment) == 0
    assert threads_for("pq.ParquetFile(raw)", READ[how], segment) > 0, "else this test says nothing"
