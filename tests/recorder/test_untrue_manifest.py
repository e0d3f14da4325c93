"""Manifests that say what is not so: a number that cannot be is nowhere repeated as a fact, and what the files say themselves counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analyzer.store import FolderStore
from analyzer.verify import State, Verified
from analyzer.verify import verify as verify_store
from analyzer.verify_text import as_text
from recorder.recover import recover
from recorder.recover_text import as_text as recovered_text
from recorder.schema import MANIFEST
from tests.analyzer.test_recording import manifest, rewrite
from tests.analyzer.verbs import verb
from tests.support import REPO

DEMO = REPO / "fixtures" / "demo.bpftape"
EXEC = "exec/000000.parquet"
LINES = [json.loads(line) for line in (DEMO / MANIFEST).read_text().splitlines()]
(LINE,) = (line for line in LINES if line.get("path") == EXEC)
(START_NS, END_NS) = (17_592_305_353_356, 17_597_325_633_301)
"""When the first row of coverage begins, and the last one ends."""

IMPOSSIBLE: dict[str, dict[str, object]] = {
    "rows beyond all reason": {"rows": 4_000_000_000},
    "rows beyond 64 bits": {"rows": 1 << 70},
    "rows below 0": {"rows": -4_000_000_000},
    "rows as a float": {"rows": 4e9},
    "rows as a text": {"rows": "4000000000"},
    "rows as a truth": {"rows": True},
    "bytes beyond all reason": {"bytes": 4_000_000_000_000},
    "bytes beyond 64 bits": {"bytes": 1 << 70},
}

UNTRUE: dict[str, dict[str, object]] = {
    "more rows": {"rows": 1_000_000},
    "no rows": {"rows": 0},
    "other bytes": {"bytes": 5},
    "times in disorder": {"first_ts_ns": LINE["last_ts_ns"], "last_ts_ns": LINE["first_ts_ns"]},
    "times of another age": {"first_ts_ns": -(1 << 62), "last_ts_ns": 1 << 62},
    "times beyond 64 bits": {"first_ts_ns": 1 << 70},
    "times as floats": {"first_ts_ns": float(LINE["first_ts_ns"]), "last_ts_ns": None},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEMO, tmp_path / "x.bpftape"))


def say(folder: Path, said: dict[str, object], name: str = EXEC) -> None:
    rewrite(folder, [line | said if line.get("path") == name else line for line in manifest(folder)])


def harm(folder: Path, name: str = EXEC) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 3] ^= 1
    (folder / name).write_bytes(data)


def verify(folder: Path) -> Verified:
    return verify_store(FolderStore(folder))


def rows(of: Sequence[dict[str, Any]], table: str | None = None) -> int:
    gone = {path for line in of for path in line.get("replaces", ())}
    return sum(line["rows"] for line in of if "path" in line and line["path"] not in gone and table in (None, line["table"]))


@pytest.mark.parametrize("said", IMPOSSIBLE.values(), ids=list(IMPOSSIBLE))
def test_a_number_that_cannot_be_is_not_repeated_and_the_file_is_taken_in(said: dict[str, object], folder: Path) -> None:
    say(folder, said)
    found = verify(folder)
    assert (found.state, found.rows) == (State.DAMAGED, rows(LINES) - LINE["rows"])
    assert [(item.table, item.rows, item.why) for item in found.missing] == [("exec", LINE["rows"], "is in no segment that the manifest names")]
    done = recover(folder)
    text = as_text(found) + recovered_text(done)
    assert not [word for word in ("4,000,000,000", "4e", str(1 << 70), f"{1 << 70:,}") if word in text]
    assert (done.taken_in, done.counted, rows(manifest(folder))) == ([EXEC], [], rows(LINES))
    assert verify(folder).state is State.WHOLE


@pytest.mark.parametrize("said", UNTRUE.values(), ids=list(UNTRUE))
def test_a_line_that_is_not_true_of_a_file_whose_checksum_is_right_is_mended(said: dict[str, object], folder: Path) -> None:
    say(folder, said)
    found = verify(folder)
    assert found.state is State.DAMAGED
    assert "the manifest says" in str([finding.what for finding in found.findings])
    assert (found.missing, found.rows, found.sound_rows, found.bytes) == ([], rows(LINES), rows(LINES), verify(DEMO).bytes)
    before = (folder / MANIFEST).read_bytes()
    done = recover(folder)
    assert (done.put_out, done.taken_in, done.counted, done.missing) == ([], [], [], [])
    assert done.manifest == f"written anew with true numbers of a segment; the old one is {MANIFEST}.0"
    assert (folder / f"{MANIFEST}.0").read_bytes() == before
    assert manifest(folder) == LINES
    assert verify(folder).state is State.WHOLE


@pytest.mark.parametrize("claim", [0, 44, 1_000_000])
def test_the_kernel_counted_what_was_in_a_damaged_segment_whatever_is_said_of_it(claim: int, folder: Path) -> None:
    say(folder, {"rows": claim})
    harm(folder)
    found = verify(folder)
    assert found.rows == rows(LINES)
    assert [(item.table, item.rows, item.why) for item in found.missing] == [("exec", LINE["rows"], f"{EXEC} is damaged")]
    assert [item.rows for item in recover(folder).counted] == [LINE["rows"]]
    assert [(item.table, item.rows, item.told) for item in verify(folder).missing] == [("exec", LINE["rows"], True)]


def test_times_that_cannot_be_become_those_of_the_whole_recording(folder: Path) -> None:
    harm(folder)
    for said in [said for said in UNTRUE.values() if "first_ts_ns" in said]:
        say(folder, said)
        (missing,) = verify(folder).missing
        assert missing.from_ns == START_NS
        assert 0 <= missing.to_ns - END_NS < 1_000_000_000
    recover(folder)
    assert verb("info", folder).returncode == 0


def test_a_segment_that_never_was_is_damage_but_nothing_is_missing(folder: Path) -> None:
    rewrite(folder, [*manifest(folder), LINE | {"path": "exec/000009.parquet", "rows": 1_000_000}])
    found = verify(folder)
    assert (found.state, found.missing, found.rows) == (State.DAMAGED, [], rows(LINES))
    done = recover(folder)
    assert (done.put_out, done.counted) == (["exec/000009.parquet"], [])


def test_a_line_that_is_there_twice_is_left_out(folder: Path) -> None:
    rewrite(folder, [*manifest(folder), LINE | {"rows": 1_000_000}])
    found = verify(folder)
    assert (found.state, found.missing, found.rows) == (State.DAMAGED, [], rows(LINES))
    recover(folder)
    assert manifest(folder) == LINES
