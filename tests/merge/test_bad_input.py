"""Merging what cannot be merged: a sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.recording import open_recordings
from recorder.schema import MANIFEST
from tests.analyzer.verbs import verb
from tests.merge.hosts import LATER_NS, apart, host, write


def cut(path: Path) -> None:
    segment = next(path.glob("recording/*.parquet"))
    segment.write_bytes(segment.read_bytes()[:100])


def flip(path: Path) -> None:
    segment = next(path.glob("tcp_connect/*.parquet"))
    data = bytearray(segment.read_bytes())
    data[40] ^= 1
    segment.write_bytes(data)


def header(path: Path, **changes: object) -> None:
    first, *lines = (path / MANIFEST).read_text().splitlines()
    (path / MANIFEST).write_text("\n".join([json.dumps(json.loads(first) | changes), *lines]) + "\n")


def forget(path: Path, *tables: str) -> None:
    lines = [line for line in (path / MANIFEST).read_text().splitlines() if not any(f'"{table}"' in line for table in tables)]
    (path / MANIFEST).write_text("\n".join(lines) + "\n")


def link(path: Path) -> None:
    segment = next(path.glob("tcp_connect/*.parquet"))
    segment.unlink()
    segment.symlink_to("/etc/passwd")


def lead_out(path: Path) -> None:
    text = (path / MANIFEST).read_text()
    (path / MANIFEST).write_text(text.replace('"tcp_connect/', '"../../tcp_connect/'))


def foreign(path: Path) -> None:
    (path / MANIFEST).write_text('{"name": "x"}\n')


BAD: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "missing": (shutil.rmtree, 65, "There is no recording at"),
    "foreign": (foreign, 65, "is not a recording"),
    "newer": (lambda path: header(path, bpftape_format=2), 65, "has recording format 2"),
    "truncated": (cut, 65, "has 100 bytes where"),
    "changed": (flip, 65, "is not what was written: its checksum is another one"),
    "a link": (link, 65, "is not a regular file"),
    "a path that leads out": (lead_out, 65, "does not name a segment"),
    "half written": (lambda path: forget(path, "recording"), 65, "does not tell when it began"),
    "empty": (lambda path: (path / MANIFEST).write_text((path / MANIFEST).read_text().split("\n")[0] + "\n"), 65, "is an empty recording"),
    "no clock": (lambda path: forget(path, "clock", "tcp_connect", "tcp_accept"), 2, "Nothing tells how the clocks of"),
    "merged, of nonsense": (lambda path: header(path, merged={"parts": "many"}), 65, "the recordings that were merged makes no sense"),
    "merged, of nothing": (lambda path: header(path, merged={"parts": [part(1), part(2)]}), 65, "is damaged: parts is missing"),
}


def part(number: int, **changes: object) -> dict[str, object]:
    numbers = {"shift_ns": 0, "wall_shift_ns": 0, "bound_ns": 0, "connections": 0}
    return {"recording_id": f"{number}", "name": "x", "host": "x", "source": "itself"} | numbers | changes


@pytest.fixture
def two(tmp_path: Path, pair: list[Path]) -> list[Path]:
    """Return copies of both recordings, for a test to change."""
    return [Path(shutil.copytree(path, tmp_path / "in" / path.name)) for path in pair]


def refused(code: int, *arguments: str | Path, output: Path) -> str:
    before = sorted(output.parent.iterdir())
    done = verb("merge", *arguments, "-o", output)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sorted(output.parent.iterdir()) == before, "something is left"
    return done.stderr


@pytest.mark.parametrize("what", BAD)
def test_a_bad_recording_is_named_with_what_is_wrong(what: str, two: list[Path], tmp_path: Path) -> None:
    spoil, code, words = BAD[what]
    spoil(two[1])
    assert words in refused(code, *two, output=tmp_path / "out")


def test_a_recording_is_not_merged_with_itself_or_with_a_copy_or_with_one_that_has_it(two: list[Path], tmp_path: Path) -> None:
    shutil.copytree(two[0], tmp_path / "copy.bpftape")
    assert f"{two[0]} is named twice" in refused(2, two[0], two[0], output=tmp_path / "out")
    assert "are the same recording" in refused(2, two[0], tmp_path / "copy.bpftape", output=tmp_path / "out")
    assert verb("merge", *two, "-o", tmp_path / "both").returncode == 0
    assert "or have one in common" in refused(2, tmp_path / "both", two[1], output=tmp_path / "out")
    assert "both is named twice" in refused(2, tmp_path / "both", tmp_path / "both", output=tmp_path / "out")


def test_a_recording_is_not_merged_with_a_shared_copy_of_it(two: list[Path], tmp_path: Path) -> None:
    assert verb("share", two[0], "-o", tmp_path / "copy").returncode == 0
    assert "are the same recording, one of them as a shared copy" in refused(2, two[0], tmp_path / "copy", output=tmp_path / "out")


def test_one_recording_is_too_few(two: list[Path], tmp_path: Path) -> None:
    assert "From 2 to 1,000 recordings can be merged; here is 1." in refused(2, two[0], output=tmp_path / "out")


def test_a_length_of_time_that_is_none_is_refused(two: list[Path], tmp_path: Path) -> None:
    assert "--clocks-within soon: that is no length of time" in refused(2, *two, "--clocks-within", "soon", output=tmp_path / "out")


def test_an_output_that_is_there_is_left_alone(two: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert "exists" in refused(73, *two, output=tmp_path / "out")
    done = verb("merge", *two, "-o", tmp_path / "nowhere" / "out")
    assert (done.returncode, done.stdout) == (73, "")
    assert "nowhere is no folder" in done.stderr


def test_a_recording_that_still_grows_is_waited_for(two: list[Path], tmp_path: Path) -> None:
    import fcntl

    fd = os.open(two[1], os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert "is still being written" in refused(65, *two, output=tmp_path / "out")
    finally:
        os.close(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk_is_said_and_nothing_is_left(two: list[Path], tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
    try:
        assert "No space left on device" in refused(74, *two, output=small / "out")
    finally:
        subprocess.run(["umount", small], check=True)


def test_on_another_disk_segments_are_copied(two: list[Path], tmp_path: Path) -> None:
    import unittest.mock

    with unittest.mock.patch("os.link", side_effect=OSError(18, "Invalid cross-device link")):
        assert verb("merge", *two, "-o", tmp_path / "out").returncode == 0
    assert verb("verify", tmp_path / "out").returncode == 0
    assert not next(two[0].glob("recording/*.parquet")).samefile(next((tmp_path / "out").glob("parts/000000/recording/*.parquet")))


@pytest.mark.parametrize(
    "parts",
    [
        [part(1)],
        [part(1), part(1)],
        [part(1), part(2, shift_ns=1 << 62)],
        [part(1), part(2, shift_ns=True)],
        [part(1), part(2, bound_ns=-1)],
        [part(1), part(2, source="an oracle")],
        [part(1), part(2, host=7)],
        [part(1), part(2, name="")],
        [part(1), {}],
        [part(1), "x"],
        {},
        None,
    ],
    ids=str,
)
def test_what_a_stranger_says_of_parts_is_held_against_what_can_be(parts: object, two: list[Path]) -> None:
    header(two[0], merged={"parts": parts})
    for name in ("info", "verify"):
        done = verb(name, two[0])
        assert (done.returncode, done.stdout) == (65, "")
        assert "the recordings that were merged makes no sense" in done.stderr


def test_another_recording_in_the_place_of_a_part_is_found_out(two: list[Path], tmp_path: Path) -> None:
    assert verb("merge", *two, "-o", tmp_path / "out").returncode == 0
    shutil.rmtree(tmp_path / "out" / "parts" / "000001")
    other = write(tmp_path, "db1", apart(host("db1"), LATER_NS), 9)
    other.rename(tmp_path / "out" / "parts" / "000001")
    assert "parts/000001 is another recording than was merged" in verb("info", tmp_path / "out").stderr
    done = verb("verify", tmp_path / "out")
    assert done.returncode == 65
    assert "is that of another recording than was merged" in done.stdout


def test_a_host_s_name_becomes_no_sql(tmp_path: Path) -> None:
    name = "x' UNION SELECT \x00\u2028'--"
    hostile = host("db1")
    hostile["recording"] = [hostile["recording"][0] | {"host": name}]
    recordings = [write(tmp_path, "web1", host("web1"), 1), write(tmp_path, "db1", apart(hostile, LATER_NS), 2)]
    assert verb("merge", *recordings, "-o", tmp_path / "out").returncode == 0
    from analyzer.sandbox import open_sandbox

    for paths in (recordings, [tmp_path / "out"]):
        with open_sandbox(open_recordings(paths)) as sandbox:
            assert sandbox.rows("SELECT DISTINCT host FROM probe ORDER BY host", ["probe"]) == [("web1",), (name,)]


def test_recover_says_that_it_is_for_a_part(two: list[Path], tmp_path: Path) -> None:
    from analyzer.errors import AnalyzerError
    from recorder.recover import recover

    assert verb("merge", *two, "-o", tmp_path / "out").returncode == 0
    with pytest.raises(AnalyzerError, match="is merged of several recordings"):
        recover(tmp_path / "out")
    assert not recover(tmp_path / "out" / "parts" / "000000").changed
