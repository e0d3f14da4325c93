"""Open a Parquet file with pyarrow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow.parquet as pq


def open_parquet(file: Path | io.RawIOBase, read_dictionary: Sequence[str] | None = None) -> pq.ParquetFile:
    """Open a file, which is read by who reads from it, and by no thread of Arrow's.

    Such a thread may let go of a file of Python's a moment later than all others. When Python is at its end by then, the process aborts.
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(file, read_dictionary=read_dictionary, pre_buffer=False)
