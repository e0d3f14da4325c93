"""When the disk refuses in odd places, nothing hangs, nothing is counted twice, and what was begun is cleared away."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from recorder.errors import Exit, RecorderError
from recorder.folder import RecordingFolder
from recorder.schema import MANIFEST, TABLES
from recorder.writer import Failure, Sealer

ROWS = [{"boottime_ns": 1, "monotonic_ns": 1, "realtime_ns": 1, "width_ns": 1}]


def refuse(number: int) -> Any:
    def refusing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refusing


def test_a_line_that_could_not_be_made_durable_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    manifest = folder.path / MANIFEST
    before = manifest.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            folder.enter({"path": "clock/000000.parquet"})
    assert manifest.read_bytes() == before
    folder.write_rows(TABLES["clock"], ROWS)
    assert [json.loads(line).get("table") for line in manifest.read_text().splitlines()] == [None, "clock"]


def test_rows_that_could_not_be_entered_count_as_lost_and_are_not_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "enter", refuse(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            folder.write_rows(TABLES["clock"], ROWS)
    assert list((folder.path / "clock").iterdir()) == []


def test_a_replaced_file_that_cannot_be_removed_does_not_take_the_new_one_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    row = {"tracer": "clone", "hook": "x", "tables": ["exec"], "status": "attached"}
    folder.write_rows(TABLES["probe"], [row])
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse(errno.EIO))
        folder.write_rows(TABLES["probe"], [row, row])
    assert {path.name for path in (folder.path / "probe").iterdir()} == {"000000.parquet", "000001.parquet"}
    assert json.loads((folder.path / MANIFEST).read_text().splitlines()[-1])["rows"] == 2


def test_a_folder_that_cannot_be_begun_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(RecorderError) as caught:
        RecordingFolder(tmp_path / "r.bpftape")
    assert caught.value.code == Exit.IO
    assert list(tmp_path.iterdir()) == []


def test_own_rows_find_room_at_the_second_try_and_stand_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    failures = iter([True, False])
    write_rows = RecordingFolder.write_rows

    def full_at_first(self: RecordingFolder, *arguments: Any) -> None:
        if next(failures):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_rows(self, *arguments)

    monkeypatch.setattr(RecordingFolder, "write_rows", full_at_first)
    told: list[bool] = []
    sealer = Sealer(folder, Failure(folder, lambda: told.append(True)))
    sealer.start()
    sealer.put({"clock": list(ROWS)})
    sealer.put(None)
    sealer.join(60)
    lines = [json.loads(line) for line in (folder.path / MANIFEST).read_text().splitlines()]
    assert [line.get("rows") for line in lines] == [None, 1]
    assert told == [True]


def test_a_read_only_file_system_does_not_end_the_sealer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RecordingFolder(tmp_path / "r.bpftape")
    told: list[bool] = []
    failure = Failure(folder, lambda: told.append(True))
    sealer = Sealer(folder, failure)
    with monkeypatch.context() as patch:
        for name in ("fsync", "unlink", "rename", "close"):
            patch.setattr(os, name, refuse(errno.EROFS))
        sealer.start()
        for _ in range(23):  # more than may wait: a dead sealer would hold this up for ever
            sealer.put({"clock": list(ROWS)})
        sealer.put(None)
        sealer.join(60)
    assert not sealer.is_alive()
    assert told == [True]
    assert failure.error is not None
    assert "Read-only file system" in failure.error.message
