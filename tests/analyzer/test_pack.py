"""``bpftape pack`` and ``unpack``, and packed recordings wherever a recording is asked for; and what strangers may put into a zip file."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from analyzer.pack import Slice
from analyzer.recording import open_recording
from analyzer.report import bundled_names
from recorder.folder import RecordingFolder
from recorder.schema import MANIFEST, TABLES
from tests.analyzer.conftest import Analyze, error_of, run
from tests.analyzer.test_recording import BAD, change_header, manifest, rewrite
from tests.analyzer.verbs import verb
from tests.rows import read_rows, write_recording
from tests.support import REPO

DEMO = REPO / "fixtures" / "demo.bpftape"
EXEC = "demo.bpftape/exec/000000.parquet"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the canned recording, packed. Tests must not change it."""
    path = tmp_path_factory.mktemp("packed") / "demo.bpftape.zip"
    assert verb("pack", DEMO, "-o", path).returncode == 0
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pack_is_one_file_of_stored_members_that_any_unzip_takes(packed: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    with zipfile.ZipFile(packed) as read:
        assert read.testzip() is None
        assert {info.compress_type for info in read.infolist()} == {zipfile.ZIP_STORED}
        assert {info.external_attr >> 16 for info in read.infolist()} == {stat.S_IFREG | 0o600}
        assert read.namelist()[0] == f"demo.bpftape/{MANIFEST}"
        read.extractall(tmp_path)
    assert files(tmp_path / "demo.bpftape") == files(DEMO)


def test_the_same_recording_makes_the_same_file_and_unpacks_to_itself(packed: Path, tmp_path: Path) -> None:
    made = json.loads(verb("unpack", "--json", packed, "-o", tmp_path).stdout)["unpacked"]
    assert made == str(tmp_path / "demo.bpftape")
    assert files(tmp_path / "demo.bpftape") == files(DEMO)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "demo.bpftape").rglob("*") if path.is_file()}
    assert modes == {0o600}
    done = verb("pack", tmp_path / "demo.bpftape")
    assert done.returncode == 0
    assert (tmp_path / "demo.bpftape.zip").read_bytes() == packed.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.bpftape", "demo.bpftape.zip"]


def test_what_is_no_part_of_the_recording_is_not_packed(copy: Path) -> None:
    (copy / "clone" / "000009.parquet").write_bytes(b"PAR1")
    (copy / ".reserve").write_bytes(b"")
    with (copy / MANIFEST).open("a") as file:
        file.write('{"path": "exec/00')
    assert verb("pack", copy).returncode == 0
    with zipfile.ZipFile(copy.with_name("copy.bpftape.zip")) as read:
        assert set(read.namelist()) == {f"copy.bpftape/{name}" for name in (MANIFEST, *(line["path"] for line in manifest_lines(copy)))}
        assert read.read(f"copy.bpftape/{MANIFEST}").endswith(b"\n")


def manifest_lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_bytes().split(b"\n")[1:-1]]


@pytest.mark.parametrize("name", ["overview", "processes", "tcp_connects", "service_map"])
def test_reports_say_the_same_of_a_packed_recording(name: str, packed: Path, analyze: Analyze) -> None:
    plain, ours = analyze(name, DEMO, "--format", "csv"), analyze(name, packed, "--format", "csv")
    assert name in bundled_names()
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert ours.stdout.count("\n") > 4


def test_packed_and_unpacked_recordings_go_together(packed: Path, recording: Path, analyze: Analyze) -> None:
    done = analyze("--sql", "SELECT recording_id, count(*) AS n FROM clone GROUP BY ALL ORDER BY n", packed, recording, "--format", "csv")
    assert done.returncode == 0, done.stderr
    expected = sorted((sum(s.rows for s in open_recording(path).tables["clone"]), open_recording(path).id) for path in (packed, recording))
    assert done.stdout.splitlines()[1:] == [f"{recording_id},{count}" for count, recording_id in expected]


def test_every_verb_takes_a_packed_recording(packed: Path) -> None:
    assert verb("verify", packed).stdout.startswith("demo.bpftape.zip: whole\n")
    assert json.loads(verb("info", "--json", packed).stdout)["host"] == "demo-host"
    (listed,) = json.loads(verb("ls", "--json", packed.parent).stdout)
    assert (listed["recording"], listed["host"], listed["state"]) == ("demo.bpftape.zip", "demo-host", "clean: SIGINT")
    assert "Unpack it first" in error_of(verb("recover", packed), 65)
    assert "packed already" in error_of(verb("pack", packed), 65)
    assert "is a folder already" in error_of(verb("unpack", DEMO), 65)


def test_the_newest_recording_may_be_a_packed_one(tmp_path: Path, packed: Path, analyze: Analyze) -> None:
    shutil.copy(packed, tmp_path / "x_20990101T000000Z.bpftape.zip")
    write_recording(tmp_path / "x_20260101T000000Z.bpftape", read_rows())
    done = analyze("overview", cwd=tmp_path)
    assert done.returncode == 0
    assert "recording: x_20990101T000000Z.bpftape.zip" in done.stderr


def test_sql_of_a_stranger_reaches_nothing_through_a_packed_recording(packed: Path, analyze: Analyze) -> None:
    for sql in ("SELECT * FROM read_parquet('bpftape://x/exec/000000.parquet')", f"SELECT * FROM '{packed}'"):
        assert analyze("--sql", sql, packed).returncode == 2
    from analyzer.sandbox import open_sandbox

    recording = open_recording(packed)
    with open_sandbox([recording]) as sandbox:  # the second layer alone
        for sql in (
            f"SELECT * FROM read_text('bpftape://{recording.id}/manifest.jsonl')",
            f"COPY (SELECT 1) TO 'bpftape://{recording.id}/exec/000000.parquet'",
            "SELECT * FROM read_text('/etc/passwd')",
        ):
            with pytest.raises(Exception, match=r"Permission|disabled|bpftape"):
                sandbox._connection.execute(sql).fetchall()


def test_a_changed_byte_is_found_by_all_who_read_everything(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.bpftape.zip"
    data = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as read:
        data[read.getinfo(EXEC).header_offset + 2_000] ^= 1
    path.write_bytes(data)
    done = verb("verify", path)
    assert (done.returncode, "damaged: exec/000000.parquet is not what was written" in done.stdout) == (65, True)
    assert "exec/000000.parquet is not what was packed" in error_of(verb("unpack", path, "-o", tmp_path), 65)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.bpftape.zip"]


def test_nothing_is_overwritten_and_nothing_is_left(copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.bpftape.zip"
    target.write_text("mine")
    assert "exists" in error_of(verb("pack", copy), 73)
    assert target.read_text() == "mine"
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere")
    error_of(verb("pack", copy), 73)
    target.unlink()
    error_of(verb("pack", copy, "-o", tmp_path / "none" / "x.zip"), 73)
    error_of(verb("pack", copy, "-o", "/proc/x.zip"), 73)
    assert verb("pack", copy).returncode == 0
    error_of(verb("unpack", target, "-o", tmp_path), 73)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["copy.bpftape", "copy.bpftape.zip"]


def test_a_full_disk_leaves_no_half_of_anything(copy: Path, tmp_path: Path) -> None:
    with mock.patch("os.fsync", side_effect=OSError(28, os.strerror(28))):
        assert "No space left on device" in error_of(verb("pack", copy), 74)
    assert verb("pack", copy).returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    with mock.patch("os.fsync", side_effect=OSError(28, os.strerror(28))):
        assert "No space left on device" in error_of(verb("unpack", tmp_path / "copy.bpftape.zip", "-o", other), 74)
    assert list(other.iterdir()) == []


def test_a_recording_that_is_still_being_written_is_not_packed(tmp_path: Path) -> None:
    made = RecordingFolder(tmp_path / "x.bpftape")
    made.write_rows(TABLES["clone"], read_rows()["clone"])
    assert "is still being written" in error_of(verb("pack", made.path), 65)
    made.close()
    assert verb("pack", made.path).returncode == 0


@pytest.mark.parametrize("bad", [*BAD, "checksum"])
def test_a_bad_recording_is_not_packed(bad: str, copy: Path) -> None:
    if bad in BAD:
        BAD[bad][0](copy)
    else:
        (copy / "exec/000000.parquet").write_bytes(bytes((copy / "exec/000000.parquet").stat().st_size))
    error_of(verb("pack", copy), 65)
    assert [entry.name for entry in copy.parent.iterdir() if entry.name.endswith((".zip", ".tmp"))] == []


def zipped(path: Path, names: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda _: None, kind: int = zipfile.ZIP_STORED) -> None:
    """Write a zip file with the demo's manifest and ``names``."""
    with zipfile.ZipFile(path, "w", kind) as out:
        for name, data in {f"demo.bpftape/{MANIFEST}": (DEMO / MANIFEST).read_bytes(), **names}.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = kind
            if name in names:
                change(info)
            out.writestr(info, data)


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def patched(path: Path, place: int, kind: str, value: int) -> None:
    """Change a number in the last entry of a zip file's list of members."""
    zipped(path, {EXEC: b"x" * 100})
    data = bytearray(path.read_bytes())
    struct.pack_into(kind, data, data.rfind(b"PK\1\2") + place, value)
    path.write_bytes(data)


def twice(path: Path) -> None:
    zipped(path, {EXEC: b"x", EXEC.replace("0.parquet", "1.parquet"): b"y"})
    path.write_bytes(path.read_bytes().replace(b"000001.parquet", b"000000.parquet"))


def overlapping(path: Path) -> None:
    """Make 200 members of one: the list names the same bytes again and again, as bombs do."""
    zipped(path, {EXEC: b"x" * 10_000})
    data = path.read_bytes()
    entry = data[data.rfind(b"PK\1\2") : data.rfind(b"PK\5\6")]
    many = b"".join(entry.replace(b"exec/000000.parquet", f"exec/{number:06}.parquet".encode()) for number in range(200))
    start = data.find(b"PK\1\2")
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 200, 200, len(many), start, 0)
    path.write_bytes(data[:start] + many + end)


def directory_of_4_gib(path: Path) -> None:
    zipped(path, {EXEC: b"x"})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\5\6") + 12, 0xFFFF_FFF0)
    path.write_bytes(data)


def another_name_inside(path: Path) -> None:
    zipped(path, {EXEC: b"x"})
    data = path.read_bytes()
    place = data.rfind(b"PK\3\4")
    path.write_bytes(data[:place] + data[place:].replace(b"exec/000000", b"exit/000000", 1))


def cut(path: Path) -> None:
    zipped(path, {EXEC: b"x" * 9_000})
    os.truncate(path, path.stat().st_size - 30)


def beheaded(path: Path) -> None:
    zipped(path, {EXEC: b"x" * 9_000})
    path.write_bytes(path.read_bytes()[5_000:])


def of_4_gib(path: Path) -> None:
    patched(path, 24, "<I", 0xFFFF_FFF0)
    path.write_bytes(path.read_bytes().replace(struct.pack("<2I", 100, 0xFFFF_FFF0), struct.pack("<2I", 0xFFFF_FFF0, 0xFFFF_FFF0)))


def another_manifest(path: Path) -> None:
    zipped(path, {EXEC: b"x"})
    path.write_bytes(path.read_bytes().replace(b"bpftape_format", b"bpftape_formaT", 1))


def hidden(path: Path) -> None:
    zipped(path, {"demo.bpftape/exec/000000.parquetXX": b"x"})
    path.write_bytes(path.read_bytes().replace(b"parquetXX", b"parquet\0X"))


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "not a zip file": (lambda path: path.write_bytes(b"hello" * 100), "it is no zip file"),
    "empty": (lambda path: path.write_bytes(b""), "it is no zip file"),
    "a zip file of nothing": (lambda path: zipfile.ZipFile(path, "w").close(), f"it has no {MANIFEST}"),
    "truncated": (cut, "is not a recording"),
    "a head cut off": (beheaded, "is not a recording"),
    "no manifest": (lambda path: zipfile.ZipFile(path, "w").writestr(EXEC, b"x"), "is not a recording"),
    "a path that leads out": (lambda path: zipped(path, {"demo.bpftape/../../evil": b"x"}), "which no recording has"),
    "a path that leads out as a segment": (lambda path: zipped(path, {"demo.bpftape/exec/../../exec/0.parquet": b"x"}), "which no recording has"),
    "an absolute path": (lambda path: zipped(path, {"/etc/cron.d/evil": b"x"}), "which no recording has"),
    "a folder above": (lambda path: zipped(path, {"../demo.bpftape/exec/000000.parquet": b"x"}), "which no recording has"),
    "backslashes": (lambda path: zipped(path, {"demo.bpftape\\..\\evil": b"x"}), "which no recording has"),
    "another folder": (lambda path: zipped(path, {"other.bpftape/exec/000000.parquet": b"x"}), "which no recording has"),
    "a file beside the folder": (lambda path: zipped(path, {"evil": b"x"}), "which no recording has"),
    "a file that no recording has": (lambda path: zipped(path, {"demo.bpftape/exec/evil.sh": b"x"}), "which no recording has"),
    "deep nesting": (lambda path: zipped(path, {"demo.bpftape/" + "a/" * 20_000 + "0.parquet": b"x"}), "which no recording has"),
    "a deep folder": (lambda path: zipped(path, {"demo.bpftape/exec/more/": b""}), "which no recording has"),
    "a pack in a pack": (lambda path: zipped(path, {"demo.bpftape/exec.bpftape.zip": b"PK"}), "which no recording has"),
    "escapes in a name": (lambda path: zipped(path, {"demo.bpftape/exec/\x1b[2J.parquet": b"x"}), "which no recording has"),
    "a folder's name with a line break": (lambda path: zipped(path, {"a\nb.bpftape/exec/0.parquet": b"x"}), "which no recording has"),
    "a symbolic link": (lambda path: zipped(path, {EXEC: b"/etc/passwd"}, link), "is not a regular file"),
    "a device": (
        lambda path: zipped(path, {EXEC: b""}, lambda info: setattr(info, "external_attr", (stat.S_IFCHR | 0o666) << 16)),
        "is not a regular file",
    ),
    "compressed": (lambda path: zipped(path, {EXEC: bytes(1 << 24)}, kind=zipfile.ZIP_DEFLATED), "its files are compressed"),
    "encrypted": (lambda path: patched(path, 8, "<H", 1), "it is encrypted"),
    "4 GiB claimed": (lambda path: patched(path, 24, "<I", 0xFFFF_FFF0), "claims two sizes"),
    "4 GiB claimed twice": (of_4_gib, "is longer than its place"),
    "a place behind the end": (lambda path: patched(path, 42, "<I", 0x7FFF_FFFF), "is not a recording"),
    "two of a name": (twice, "twice"),
    "one place for many": (overlapping, "is not a recording"),
    "a list of 4 GiB": (directory_of_4_gib, "its list of files is said to have"),
    "another name in the member's header": (another_name_inside, "is not a recording"),
    "a name that hides something": (hidden, "is not a recording"),
    "another manifest than its CRC": (another_manifest, "is not what was packed"),
    "segments missing": (lambda path: zipped(path, {}), "is missing"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("command", ["info", "verify", "unpack"])
def test_a_hostile_pack_is_refused_and_nothing_is_written(command: str, hostile: str, tmp_path: Path) -> None:
    make, said = HOSTILE[hostile]
    path = tmp_path / "demo.bpftape.zip"
    make(path)
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    done = verb(command, path, *(("-o", out) if command == "unpack" else ()))
    if (command, hostile) == ("verify", "segments missing"):  # says so segment by segment
        assert (done.returncode, done.stdout.count("is missing")) == (65, 16)
        return
    error = error_of(done, 65)
    assert said in error
    assert "\x1b" not in error
    assert error.count("\n") <= 2
    assert sorted(str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*")) == ["deep", "deep/out", "demo.bpftape.zip"]


def test_a_pack_that_was_zipped_by_hand_without_compression_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.bpftape.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in (DEMO, *sorted(DEMO.rglob("*"))):
            out.write(file, file.relative_to(DEMO.parent))
    assert verb("verify", path).returncode == 0


def test_a_pack_that_changes_while_it_is_read_is_refused(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.bpftape.zip"
    shutil.copy(packed, path)
    recording = open_recording(path)
    path.write_bytes(b"x" * path.stat().st_size)
    os.utime(path, ns=(1, 1))
    with pytest.raises(Exception, match="was changed while it was read"):
        recording.store.open("exec/000000.parquet")


def test_a_pack_that_needs_them_has_zip64_parts(copy: Path, tmp_path: Path) -> None:
    with mock.patch("zipfile.ZIP64_LIMIT", 4_000), mock.patch("zipfile.ZIP_FILECOUNT_LIMIT", 3):
        assert verb("pack", copy).returncode == 0
    path = tmp_path / "copy.bpftape.zip"
    assert b"PK\6\6" in path.read_bytes()
    assert verb("verify", path).returncode == 0
    assert json.loads(verb("info", "--json", path).stdout)["host"] == "web1"
    before = files(copy)
    shutil.rmtree(copy)
    assert verb("unpack", path, "-o", tmp_path).returncode == 0
    assert files(copy) == before


def test_a_slice_is_a_file_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = bytes(range(256)) * 10
    path.write_bytes(data)
    with Slice(os.open(path, os.O_RDONLY), 100, 1_000) as part:
        plain = io.BytesIO(data[100:1_100])
        for place, whence, count in ((0, 0, 10), (-5, 2, 100), (990, 0, 100), (3, 1, 4), (5_000, 0, 10), (0, 0, -1)):
            assert part.seek(place, whence) == plain.seek(place, whence)
            assert part.read(count) == plain.read(count)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(part.fileno())


def test_a_newer_format_is_refused_as_it_is_in_a_folder(copy: Path, tmp_path: Path) -> None:
    assert verb("pack", copy).returncode == 0
    lines = manifest(copy)
    change_header(copy, bpftape_format=9)
    text = (copy / MANIFEST).read_bytes()
    rewrite(copy, lines)
    path = tmp_path / "newer.bpftape.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(f"copy.bpftape/{MANIFEST}", text)
    for command in ("info", "verify", "unpack"):
        assert "has recording format 9" in error_of(verb(command, path), 65)


def test_a_pack_appears_beside_its_folder_and_is_called_as_the_user_called_that(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.parent)
    assert verb("pack", copy.name).stdout.startswith("copy.bpftape.zip is made, ")
    monkeypatch.chdir(copy)
    Path("../copy.bpftape.zip").unlink()
    assert verb("pack", ".").stdout.startswith(f"{copy}.zip is made, ")


def test_expectations_are_held_against_a_packed_recording(packed: Path, tmp_path: Path) -> None:
    shutil.copy(packed, tmp_path / "renamed.zip")
    for path in (packed, tmp_path / "renamed.zip"):
        done = run("analyzer.cli", "--expect", "no_kills", path)
        assert done.stdout.startswith("FAIL     no_kills"), done.stderr


def test_what_to_do_about_a_pack_is_not_what_is_done_about_a_folder(copy: Path, tmp_path: Path) -> None:
    lines = (copy / MANIFEST).read_bytes().split(b"\n")
    ended = [number for number, line in enumerate(lines) if b'"replaces"' in line]
    (copy / MANIFEST).write_bytes(b"\n".join(line for number, line in enumerate(lines) if number not in ended))
    assert verb("pack", copy).returncode == 0
    path = copy.with_name("copy.bpftape.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PAR1", data.index(b"copy.bpftape/exec/")) + 40] ^= 1
    (tmp_path / "damaged.bpftape.zip").write_bytes(data)
    said = verb("verify", tmp_path / "damaged.bpftape.zip").stderr
    assert "Have it packed and sent again; or unzip it, and recover what is sound of the folder" in said
    (tmp_path / "cut.bpftape.zip").write_bytes(data[:-1000])
    assert "Have it packed and sent again" in error_of(verb("verify", tmp_path / "cut.bpftape.zip"), 65)
