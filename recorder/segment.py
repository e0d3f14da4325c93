"""One Parquet file of a table: written under a temporary name, made durable, then entered in the recording's manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recorder import __version__
from recorder.schema import FORMAT, Encoding, Table, Type, arrow_schema

if TYPE_CHECKING:
    from recorder.folder import RecordingFolder

RECORDER = f"bpftape {__version__}"


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


class _HashingFile:
    """A file for pyarrow that hashes and counts what goes through it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self.closed = False
        self.abandoned = False
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
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
        pass

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        self.closed = True

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class Segment:
    """One open Parquet file of a table. Nothing of it counts until :meth:`seal` has entered it in the manifest."""

    def __init__(self, folder: RecordingFolder, table: Table, number: int) -> None:
        self.rows = 0
        self.span_ns: tuple[int, int] | None = None
        self._folder = folder
        self._table = table
        self._name = f"{number:06}.parquet"
        self._directory = folder.table_fd(table.name)
        self._fd = folder.open_new(self._name + ".tmp", self._directory)
        self._file = _HashingFile(self._fd)
        self._writer = pq.ParquetWriter(self._file, arrow_schema(table), **parquet_options(table))

    @property
    def path(self) -> str:
        """Path of the segment inside the recording."""
        return f"{self._table.name}/{self._name}"

    def write(self, rows: pa.Table, span_ns: tuple[int, int] | None) -> None:
        """Add ``rows`` as row groups; ``span_ns`` is the least and greatest time among them."""
        self._writer.write_table(rows)
        self.rows += rows.num_rows
        if span_ns and self.span_ns:
            span_ns = min(span_ns[0], self.span_ns[0]), max(span_ns[1], self.span_ns[1])
        self.span_ns = span_ns or self.span_ns

    def finish(self) -> None:
        """Write the file's footer; nothing can be added after it."""
        metadata = {
            "bpftape.format": str(FORMAT),
            "bpftape.table": self._table.name,
            "bpftape.recording_id": self._folder.recording_id,
            "bpftape.recorder": RECORDER,
        }
        self._writer.add_key_value_metadata(metadata)
        self._writer.close()

    def seal(self, replaces: Sequence[str] = ()) -> None:
        """Make the finished file durable and enter it in the manifest. This waits for the disk."""
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        os.rename(self._name + ".tmp", self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        os.fsync(self._directory)
        first, last = self.span_ns or (None, None)
        self._folder.enter(
            {
                "path": self.path,
                "table": self._table.name,
                "rows": self.rows,
                "bytes": self._file.size,
                "sha256": self._file.hexdigest(),
                "first_ts_ns": first,
                "last_ts_ns": last,
            }
            | ({"replaces": list(replaces)} if replaces else {})
        )
        for path in replaces:
            os.unlink(path.split("/")[1], dir_fd=self._directory)

    def abandon(self) -> None:
        """Throw the open file away."""
        self._file.abandoned = True
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        # Where the file system takes no change any more: the manifest does not name the file, so nobody reads it.
        with suppress(OSError):
            os.close(fd)
        with suppress(OSError):
            os.unlink(self._name + ".tmp", dir_fd=self._directory)
