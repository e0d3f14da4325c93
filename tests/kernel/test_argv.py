"""Arguments are recorded as they were given, up to 4096 bytes, and nothing else of a process's memory is; or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.kernel.harness import Recording, launched, true_path

KEPT_BYTES = 4096
FILENAME_BYTES = 512


@dataclass(frozen=True)
class Workload:
    recording: Recording
    without: Recording
    """The same with --no-argv."""
    pids: dict[str, int]
    long_path: str
    secret: str
    variable: str


def long_name(folder: Path) -> Path:
    """Make a link to ``true`` whose path is longer than what is kept of a path."""
    while len(os.fspath(folder)) < FILENAME_BYTES:
        folder = folder / ("d" * 100)
        folder.mkdir()
    (folder / "true").symlink_to(true_path())
    return folder / "true"


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("argv")
    secret, variable = uuid.uuid4().hex, uuid.uuid4().hex
    true = os.fsencode(true_path())
    commands: dict[str, list[bytes]] = {
        "plain": [b"true", b"--user=a", b"two words"],
        "empty strings": [b"true", b"", b"", b"x", b""],
        "not UTF-8": [b"true", b"\xff\xfeA", b"\xe2\x82"],
        "secret": [b"true", f"--password={secret}".encode()],
        "as much as is kept": [b"true", b"b" * (KEPT_BYTES - 6)],
        "one byte more": [b"true", b"c" * (KEPT_BYTES - 5)],
        "far more": [b"true", *(b"%07d" % number for number in range(2_001))],
    }
    with ExitStack() as stack:
        both = [
            stack.enter_context(launched(folder / "with.bpftape")),
            stack.enter_context(launched(folder / "without.bpftape", "--no-argv")),
        ]
        for running in both:
            running.errors.wait_for("^recording ")
        pids = {}
        for name, argv in commands.items():
            pids[name] = os.posix_spawn(true, argv, {"BPFTAPE_SECRET": variable})
            os.waitpid(pids[name], 0)
        path = long_name(folder)
        pids["long path"] = os.posix_spawn(path, ["true"], {})
        os.waitpid(pids["long path"], 0)
        recordings = [running.stop() for running in both]
    return Workload(recordings[0], recordings[1], pids, str(path), secret, variable)


def argv(workload: Workload, name: str) -> tuple[list[str], bool]:
    (row,) = workload.recording.rows("exec", pid=workload.pids[name])
    return row["argv"], row["argv_truncated"]


def test_arguments_are_kept_one_by_one(workload: Workload) -> None:
    assert argv(workload, "plain") == (["true", "--user=a", "two words"], False)


def test_empty_arguments_are_kept(workload: Workload) -> None:
    assert argv(workload, "empty strings") == (["true", "", "", "x", ""], False)


def test_bytes_that_are_no_text_are_replaced(workload: Workload) -> None:
    assert argv(workload, "not UTF-8") == (["true", "\ufffd\ufffdA", "\ufffd"], False)


def test_4096_bytes_are_kept_and_what_is_cut_off_is_said(workload: Workload) -> None:
    assert argv(workload, "as much as is kept") == (["true", "b" * (KEPT_BYTES - 6)], False)
    assert argv(workload, "one byte more") == (["true", "c" * (KEPT_BYTES - 5)], True), "all but its NUL"
    words, truncated = argv(workload, "far more")
    assert truncated is True
    assert "\0".join(words) == "\0".join(["true", *(f"{number:07}" for number in range(2_001))])[:KEPT_BYTES].rstrip("\0")


def test_a_path_that_is_too_long_is_said_to_be_cut(workload: Workload) -> None:
    (row,) = workload.recording.rows("exec", pid=workload.pids["long path"])
    assert row["filename_truncated"] is True
    assert len(row["filename"]) == FILENAME_BYTES - 1
    assert workload.long_path.startswith(row["filename"])


def everything(recording: Recording) -> str:
    """Return all values of all columns of all files, whether the manifest lists them or not, and the manifest."""
    files = sorted(recording.path.rglob("*.parquet"))
    assert len(files) >= 9, "a file for each table"
    texts = [(recording.path / "manifest.jsonl").read_text()]
    for file in files:
        table = pq.read_table(file)
        assert table.num_rows
        texts += [repr(table.to_pylist()), repr(table.schema.metadata)]
    return "\n".join(texts)


def test_the_environment_is_not_recorded(workload: Workload) -> None:
    text = everything(workload.recording)
    assert workload.secret in text, "an argument is: so the search finds what is there"
    assert workload.variable not in text
    assert "BPFTAPE_SECRET" not in text


def test_no_argv_records_no_arguments(workload: Workload) -> None:
    rows = workload.without.rows("exec", pid=set(workload.pids.values()))
    assert len(rows) == len(workload.pids)
    assert {(row["argv"] is None, row["argv_truncated"]) for row in rows} == {(True, False)}
    assert {row["filename"] for row in rows} >= {true_path()}
    processes = workload.without.table("process")
    assert processes
    assert {row["cmdline"] for row in processes} == {None}
    text = everything(workload.without)
    assert workload.secret not in text
    assert workload.variable not in text
