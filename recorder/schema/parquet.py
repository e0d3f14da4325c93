"""How format 1 puts a table into a Parquet file: for both sides, since shared recordings are written by the analyzer."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from recorder.schema import FORMAT
from recorder.schema.column import Encoding, Table, Type

SHARED = "bpftape.shared"
"""Key of the metadata of each file of a shared copy; its value is the policy's name."""


def parquet_options(table: Table) -> dict[str, Any]:
    """Return the keyword arguments of :class:`pyarrow.parquet.ParquetWriter` that format 1 asks for."""
    by_encoding: dict[Encoding, list[str]] = {encoding: [] for encoding in Encoding}
    for column in table.columns:
        leaf = f"{column.name}.list.element" if column.type is Type.STRINGS else column.name
        by_encoding[column.encoding].append(leaf)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": by_encoding[Encoding.DICTIONARY],
        "column_encoding": dict.fromkeys(by_encoding[Encoding.DELTA], Encoding.DELTA.value) or None,
        "write_batch_size": 4_096,
    }


def file_metadata(table: str, recording_id: str, recorder: str) -> dict[str, str]:
    """Return the key-value metadata of a file of ``table``; ``recorder`` is the program and version that writes it."""
    return {"bpftape.format": str(FORMAT), "bpftape.table": table, "bpftape.recording_id": recording_id, "bpftape.recorder": recorder}


class HashingFile:
    """A file for pyarrow that hashes and counts what goes through it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self.closed = False
        self.abandoned = False
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Write all of ``data`` and return its size in bytes."""
        view = memoryview(data).cast("B")
        if self.abandoned:  # pyarrow's writer still tries to write a footer when it is freed
            return len(view)
        self._sha256.update(view)
        done = 0
        while done < len(view):
            done += os.write(self.fd, view[done:])
        self.size += done
        return done

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def close(self) -> None:
        """Note that pyarrow is done; whoever opened the descriptor closes it."""
        self.closed = True

    def entry(self, table: str, name: str, rows: int, span_ns: tuple[int, int] | None) -> dict[str, Any]:
        """Return the file's line in the manifest; ``span_ns`` is the least and greatest time among its rows."""
        first, last = span_ns or (None, None)
        return {
            "path": f"{table}/{name}",
            "table": table,
            "rows": rows,
            "bytes": self.size,
            "sha256": self._sha256.hexdigest(),
            "first_ts_ns": first,
            "last_ts_ns": last,
        }
