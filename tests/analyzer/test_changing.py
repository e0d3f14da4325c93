"""Recordings that change while they are read: one that is still being written, and one that a copy is overwriting."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from analyzer import recording as opening
from analyzer.answer import ask
from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import Segment
from analyzer.recording import open_recording
from analyzer.report import Report
from analyzer.sandbox import open_sandbox
from analyzer.store import Store
from recorder.schema import MANIFEST

COUNT = Report("count", "SELECT count(*) FROM exec")
DESCRIPTION = "recording/000000.parquet"


def replace_description(folder: Path) -> None:
    """Do to the table recording what the recorder does at its end: a new file, its line in the manifest, and the old file goes."""
    shutil.copy(folder / DESCRIPTION, folder / "recording/000001.parquet")
    lines = (folder / MANIFEST).read_text().splitlines()
    old = next(json.loads(line) for line in lines if DESCRIPTION in line)
    with (folder / MANIFEST).open("a") as file:
        file.write(json.dumps(old | {"path": "recording/000001.parquet", "replaces": [DESCRIPTION]}) + "\n")
    (folder / DESCRIPTION).unlink()


def test_one_that_ends_while_it_is_opened_is_looked_at_again(copy: Path) -> None:
    check, changes = opening.check_size, iter([replace_description])

    def changing(store: Store, segment: Segment) -> None:
        for change in changes:
            change(copy)
        check(store, segment)

    with mock.patch.object(opening, "check_size", changing):
        found = open_recording(copy)
    assert [segment.path.name for segment in found.tables["recording"]] == ["000001.parquet"]


def test_a_missing_file_is_missing_however_often_it_is_looked_for(copy: Path) -> None:
    (copy / DESCRIPTION).unlink()
    with pytest.raises(AnalyzerError, match="is missing"):
        open_recording(copy)


def cut(folder: Path) -> None:
    path = folder / "exec" / "000000.parquet"
    path.write_bytes(path.read_bytes()[:-100])


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("change", [replace_description, cut, remove])
def test_one_that_changes_between_opening_and_reading_says_so(change: Callable[[Path], object], copy: Path) -> None:
    opened = open_recording(copy)
    change(copy)
    with pytest.raises(AnalyzerError, match=r"copy.bpftape changed while it was read\.") as raised, open_sandbox([opened]) as sandbox:
        list(ask(sandbox, COUNT, {}).result.batches)
    assert (raised.value.code, raised.value.hint) == (Exit.RECORDING, "Run it again.")


def test_segments_that_are_added_meanwhile_are_not_in_the_answer(copy: Path) -> None:
    opened = open_recording(copy)
    lines = (copy / MANIFEST).read_text().splitlines()
    shutil.copy(copy / "exec/000000.parquet", copy / "exec/000001.parquet")
    line = next(json.loads(line) for line in lines if "exec/000000" in line)
    with (copy / MANIFEST).open("a") as file:
        file.write(json.dumps(line | {"path": "exec/000001.parquet"}) + "\n")
    with open_sandbox([opened]) as sandbox:
        assert list(ask(sandbox, COUNT, {}).result.batches) == [[(11,)]]
    with open_sandbox([open_recording(copy)]) as sandbox:
        assert list(ask(sandbox, COUNT, {}).result.batches) == [[(22,)]]
