"""``bpftape verify`` and ``ls``: what is damaged is named, what is not is said to be sound, and what is missing is missing from when to when."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.progress import progress
from recorder.folder import RecordingFolder
from recorder.schema import MANIFEST, TABLES, arrow_schema
from tests.analyzer.conftest import error_of
from tests.analyzer.test_recording import BAD, change_header, change_segment, manifest, rewrite
from tests.analyzer.verbs import verb
from tests.rows import Rows, read_rows, write_recording
from tests.support import REPO

DEMO = REPO / "fixtures" / "demo.bpftape"
EXEC = "exec/000000.parquet"
SECOND_NS = 1_000_000_000
BEGIN_NS = 1_000 * SECOND_NS


def report(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    done = verb("verify", "--json", *arguments)
    return done.returncode, json.loads(done.stdout)


def rewrite_segment(folder: Path, table: pa.Table | None, name: str = EXEC, metadata: dict[str, str] | None = None, **line: object) -> None:
    """Put another file in a segment's place, and a line that is true of it but for ``line``: what a liar would do."""
    path = folder / name
    if table is None:
        table = pq.read_table(path)
    said = {key.decode(): value.decode() for key, value in (pq.read_metadata(path).metadata or {}).items() if key != b"ARROW:schema"}
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(said | (metadata or {}))
    data = path.read_bytes()
    lines = manifest(folder)
    for entry in lines:
        if entry.get("path") == name:
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": table.num_rows} | line
    rewrite(folder, lines)


def execs() -> pa.Table:
    return pa.Table.from_pylist(read_rows()["exec"], schema=arrow_schema(TABLES["exec"]))


LIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "rows": (lambda folder: rewrite_segment(folder, None, rows=1_000_000), "has 11 rows where the manifest says 1,000,000"),
    "times": (lambda folder: rewrite_segment(folder, None, first_ts_ns=5), "has other times than the manifest says"),
    "table": (lambda folder: rewrite_segment(folder, None, metadata={"bpftape.table": "exit"}), "is of the table exit"),
    "recording": (lambda folder: rewrite_segment(folder, None, metadata={"bpftape.recording_id": "f" * 32}), "is of another recording"),
    "format": (lambda folder: rewrite_segment(folder, None, metadata={"bpftape.format": "2"}), "is of format 2"),
    "column": (lambda folder: rewrite_segment(folder, execs().drop_columns(["pid"])), "has wrong or missing columns: pid"),
    "type": (
        lambda folder: rewrite_segment(folder, execs().set_column(2, "pid", pa.array(["1"] * execs().num_rows))),
        "has wrong or missing columns: pid",
    ),
    "fewer rows": (lambda folder: rewrite_segment(folder, execs().take([0, *range(2, execs().num_rows)])), "rows of exec, where"),
}


def test_a_recording_that_is_as_it_was_written_is_whole() -> None:
    done = verb("verify", DEMO)
    lines = [json.loads(line) for line in (DEMO / MANIFEST).read_text().splitlines()[1:]]
    gone = {path for line in lines for path in line.get("replaces", [])}
    live = [line for line in lines if line["path"] not in gone]
    assert (done.returncode, done.stderr) == (0, "")
    counts = f"{len(live)} segments, {sum(line['rows'] for line in live):,} rows, {sum(line['bytes'] for line in live):,} bytes"
    assert done.stdout == f"demo.bpftape: whole\n  {counts}, all as they were written\n"


@pytest.mark.parametrize("bad", [name for name in BAD if name not in ("no segment",)])
def test_every_bad_recording_is_damaged_or_none_at_all(bad: str, copy: Path) -> None:
    BAD[bad][0](copy)
    done = verb("verify", copy)
    assert done.returncode == 65
    assert "Traceback" not in done.stderr
    assert "copy.bpftape: damaged\n" in done.stdout or done.stderr.startswith("error: ")


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_was_made_to_fit_is_found_out(lie: str, copy: Path) -> None:
    harm, said = LIES[lie]
    harm(copy)
    code, (found,) = report(copy)
    assert code == 65
    assert any(said in str(finding) for finding in found["findings"]), found["findings"]


def test_one_changed_byte_is_found_and_the_rest_is_sound(copy: Path) -> None:
    data = bytearray((copy / EXEC).read_bytes())
    data[len(data) // 3] ^= 1
    (copy / EXEC).write_bytes(data)
    code, (found,) = report(copy)
    execs = len(read_rows()["exec"])
    assert code == 65
    assert (found["state"], found["segments"], found["sound_segments"]) == ("damaged", 16, 15)
    assert found["sound_rows"] == found["rows"] - execs
    assert found["findings"] == [{"where": EXEC, "what": "is not what was written: its checksum is another one", "damage": True}]
    (missing,) = found["missing"]
    times = [row["ts_ns"] for row in read_rows()["exec"]]
    assert (missing["table"], missing["rows"], missing["from_ns"], missing["to_ns"]) == ("exec", execs, min(times), max(times))
    assert missing["from_ts"].startswith("2026-01-15T12:00:0")
    assert f"hint: To keep what is sound, and have what is missing counted as lost: bpftape recover {copy}" in verb("verify", copy).stderr


def test_values_that_were_wrong_before_the_checksum_was_made_are_found_by_decoding(copy: Path) -> None:
    data = bytearray((copy / EXEC).read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    data[-footer - 40 : -footer] = b"\xff" * 40  # of the last column
    (copy / EXEC).write_bytes(data)
    lines = manifest(copy)
    for line in lines:
        if line.get("path") == EXEC:
            line["sha256"] = hashlib.sha256(data).hexdigest()
    rewrite(copy, lines)
    assert verb("verify", copy).returncode == 0
    done = verb("verify", "--decode", copy)
    assert done.returncode == 65
    assert EXEC in done.stdout


def killed(rows: Rows) -> None:
    """Make ``rows`` those of a recording whose recorder was killed: no end, and three exec rows that were in an open segment."""
    rows["recording"][0] |= {"end_ts": None, "end_ns": None, "clean_end": False, "end_reason": None}
    rows["exec"] = sorted(rows["exec"], key=lambda row: row["ts_ns"])[:-3]


def test_rows_that_were_counted_and_are_not_there_are_missing_from_when_to_when(tmp_path: Path) -> None:
    rows = read_rows()
    killed(rows)
    folder = write_recording(tmp_path / "x.bpftape", rows)
    code, (found,) = report(folder)
    assert (code, found["state"], found["findings"]) == (0, "unfinished", [])
    (missing,) = found["missing"]
    assert (missing["table"], missing["rows"], missing["from_ns"]) == ("exec", 3, rows["exec"][-1]["ts_ns"])
    assert missing["to_ns"] == max(row["ts_ns"] + row["interval_ns"] for row in rows["coverage"])
    assert re.search(r"missing: exec, 3 rows from 2026-01-15 12:00:\d\d\.\d{3} to 12:00:10\.000 UTC", verb("verify", folder).stdout)


def test_other_counts_and_gaps_in_coverage_of_a_clean_recording_are_damage(tmp_path: Path) -> None:
    rows = read_rows()
    rows["clone"].pop()
    rows["coverage"] = [row for row in rows["coverage"] if (row["table"], row["ts_ns"]) != ("exit", BEGIN_NS + 4 * SECOND_NS)]
    events = sum(row["events"] for row in rows["coverage"] if row["table"] == "clone")
    rows["exit"] = rows["exit"][: sum(row["events"] for row in rows["coverage"] if row["table"] == "exit")]
    done = verb("verify", write_recording(tmp_path / "x.bpftape", rows))
    assert done.returncode == 65
    assert f"damaged: coverage counts {events} rows of clone, where {events - 1} are there" in done.stdout
    assert "damaged: coverage does not tell of exit for 1.000 s" in done.stdout


def test_times_that_go_back_are_worth_a_note(tmp_path: Path) -> None:
    rows = read_rows()
    rows["exec"].reverse()
    done = verb("verify", write_recording(tmp_path / "x.bpftape", rows, segments=2))
    assert done.returncode == 0
    assert re.search(r"note: exec/000001\.parquet goes back in time by \d\.\d s", done.stdout)


def test_what_a_kill_leaves_is_named(copy: Path) -> None:
    (copy / "clone" / "000001.parquet.tmp").write_bytes(b"PAR1")
    (copy / "clone" / "000002.parquet").write_bytes(b"PAR1")
    with (copy / MANIFEST).open("a") as file:
        file.write('{"path": "exec/000001.parq')
    done = verb("verify", copy)
    assert done.returncode == 0
    assert "note: clone/000001.parquet.tmp was open when the recorder was ended" in done.stdout
    assert "note: clone/000002.parquet is not in the manifest" in done.stdout
    assert f"note: {MANIFEST} its last line is cut off" in done.stdout


def test_a_recording_that_is_being_written_is_said_to_be_one(tmp_path: Path) -> None:
    rows = read_rows()
    folder = RecordingFolder(tmp_path / "x.bpftape")
    try:
        folder.write_rows(TABLES["clone"], rows["clone"])
        folder.segment(TABLES["exec"])
        done = verb("verify", folder.path)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "x.bpftape: being written")
        assert json.loads(verb("ls", "--json", tmp_path).stdout)[0]["state"] == "being written"
    finally:
        folder.close()
    assert verb("verify", folder.path).stdout.splitlines()[0] == "x.bpftape: unfinished"


def test_of_several_recordings_the_bad_ones_keep_none_from_being_looked_at(copy: Path, tmp_path: Path) -> None:
    change_segment(copy, bytes="many")
    done = verb("verify", tmp_path / "none", copy, DEMO)
    assert done.returncode == 65
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == ["copy.bpftape: damaged", "demo.bpftape: whole"]
    assert f"error: There is no recording at {tmp_path / 'none'}." in done.stderr
    code, found = report(DEMO, tmp_path / "none")
    assert (code, [item["state"] for item in found]) == (65, ["whole", "unreadable"])


def test_ls_has_a_line_for_each_recording_also_for_the_bad_ones(tmp_path: Path, copy: Path) -> None:
    rows = read_rows()
    write_recording(tmp_path / "a.bpftape", rows)
    rows["recording"][0] |= {"host": "web\x1b[2J", "end_ts": None, "end_ns": None, "clean_end": False}
    write_recording(tmp_path / "b.bpftape", rows)
    change_header(copy, bpftape_format=9)
    (tmp_path / "empty.bpftape").mkdir()
    (tmp_path / "other").mkdir()
    done = verb("ls", tmp_path)
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert list(lines)[2:] == ["a.bpftape", "b.bpftape", "copy.bpftape", "empty.bpftape"]
    total = sum(map(len, rows.values()))
    assert re.search(rf"a\.bpftape +web1 +2026-01-15 12:00:00 +10\.0 +{total} +\d+  clean: duration", lines["a.bpftape"])
    assert re.search(rf"b\.bpftape +web\\x1b\[2J +2026-01-15 12:00:00 +{total} +\d+  unfinished", lines["b.bpftape"])
    assert "has recording format 9" in lines["copy.bpftape"]
    assert "it has no manifest.jsonl" in lines["empty.bpftape"]
    found = json.loads(verb("ls", "--json", tmp_path).stdout)
    assert (found[0]["host"], found[0]["seconds"], found[0]["rows"]) == ("web1", 10.0, total)


def test_ls_of_a_folder_without_recordings_says_so(tmp_path: Path) -> None:
    done = verb("ls", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "There is no recording in" in done.stderr
    error_of(verb("ls", tmp_path / "none"), 65)
    (tmp_path / "file").touch()
    error_of(verb("ls", tmp_path / "file"), 65)


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "after_s", "is_shown"), [(Terminal(), 0, True), (Terminal(), 3_600, False), (io.StringIO(), 0, False)])
def test_progress_is_for_a_terminal_and_for_long_work(stream: io.StringIO, after_s: float, is_shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("analyzer.progress.SHOWN_AFTER_S", after_s)
    with contextlib.redirect_stderr(stream), progress("verifying", 100) as advance:
        advance(60)
    assert ("verifying" in stream.getvalue()) == is_shown
    assert bool(stream.getvalue()) == is_shown


def test_the_command_line_says_the_same_as_its_parts(cli: Callable[..., CompletedProcess[str]]) -> None:
    done = cli("bpftape", "verify", DEMO)
    assert (done.returncode, done.stdout, done.stderr) == (0, verb("verify", DEMO).stdout, "")


_THREADS = """
import os, sys, time
from pathlib import Path
import pyarrow.parquet
from analyzer.store import FolderStore
from analyzer.verify import verify
from recorder.recover import recover

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
verify(FolderStore(Path(sys.argv[1])), decode=True)
recover(Path(sys.argv[1]))
for _ in range(200):  # Python's own are gone a moment after they were waited for; those of a pool stay
    if threads() == before:
        break
    time.sleep(0.01)
print(threads() - before)
"""


def test_no_threads_of_arrows_pool_are_there_when_it_ends(copy: Path) -> None:
    # Where they read through Python's files, the end of the process is a race that ends in an abort, or never: apache/arrow#34314, #50482.
    words = [sys.executable, "-c", _THREADS, str(copy)]
    done = subprocess.run(words, cwd=REPO, env={**os.environ, "ARROW_IO_THREADS": "1"}, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) == 0
