"""One Parquet file of a table: written under a temporary name, made durable, then entered in the recording's manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from recorder import __version__
from recorder.schema import Table, arrow_schema
from recorder.schema.parquet import HashingFile, file_metadata, parquet_options

RECORDER = f"bpftape {__version__}"


class Home(Protocol):
    """What a segment asks of the recording's folder that it is made in."""

    recording_id: str

    def table_fd(self, table: str) -> int:
        """Return the open folder of ``table``."""

    def open_new(self, name: str, directory: int) -> int:
        """Make a file that was not there; return its descriptor."""

    def enter(self, line: Mapping[str, Any]) -> None:
        """Take the manifest's line for a segment that is durable."""


class Segment:
    """One open Parquet file of a table. Nothing of it counts until :meth:`seal` has entered it in the manifest."""

    def __init__(self, folder: Home, table: Table, number: int) -> None:
        self.rows = 0
        self.span_ns: tuple[int, int] | None = None
        self._folder = folder
        self._table = table
        self._name = f"{number:06}.parquet"
        self._directory = folder.table_fd(table.name)
        self._fd = folder.open_new(self._name + ".tmp", self._directory)
        self._is_named = False
        self._file = HashingFile(self._fd)
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
        self._writer.add_key_value_metadata(file_metadata(self._table.name, self._folder.recording_id, RECORDER))
        self._writer.close()

    def seal(self, replaces: Sequence[str] = ()) -> None:
        """Make the finished file durable and enter it in the manifest. This waits for the disk."""
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        os.rename(self._name + ".tmp", self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._is_named = True
        os.fsync(self._directory)
        entry = self._file.entry(self._table.name, self._name, self.rows, self.span_ns)
        self._folder.enter(entry | ({"replaces": list(replaces)} if replaces else {}))
        for path in replaces:
            with suppress(OSError):  # the manifest says that it does not count any more
                os.unlink(path.split("/")[1], dir_fd=self._directory)

    def abandon(self) -> None:
        """Throw the file away, finished or not, before it is in the manifest: its rows count as lost, so nobody may find them there later."""
        self._file.abandoned = True
        fd, self._fd = self._fd, -1
        # Where the file system takes no change any more: the manifest does not name the file, so nobody reads it.
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)
        with suppress(OSError):
            os.unlink(self._name if self._is_named else self._name + ".tmp", dir_fd=self._directory)
