"""``bpftape share`` with what it cannot work with: a sentence, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyzer.errors import AnalyzerError
from analyzer.recording import open_recording
from analyzer.share.key import make_key
from analyzer.share.run import Request, share
from tests.rows import read_rows, write_recording
from tests.support import REPO, Cli


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a recording for a test to damage, in a folder of its own."""
    (tmp_path / "in").mkdir()
    return write_recording(tmp_path / "in" / "x.bpftape", read_rows())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return an empty folder for the output."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def fails(request: Request, code: int, out: Path) -> str:
    """Assert that sharing fails as it should, and leaves nothing in ``out``; return what it says."""
    with pytest.raises(AnalyzerError) as raised:
        share(request)
    assert raised.value.code == code, raised.value.message
    assert list(out.iterdir()) == []
    return f"{raised.value.message} {raised.value.hint}"


def command_fails(done: subprocess.CompletedProcess[str], code: int, out: Path) -> str:
    """Assert that the command failed as it should, and left nothing in ``out``; return what it says."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(out.iterdir()) == []
    return done.stderr


def request(recording: Path, output: Path, policy: str = "standard", key: Path | None = None) -> Request:
    return Request(recording, output, policy, key, False)


def newer(folder: Path) -> None:
    manifest = folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"bpftape_format": 1', '"bpftape_format": 9'))


def truncated(folder: Path) -> None:
    file = folder / "exec" / "000000.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def damaged(folder: Path) -> None:
    file = folder / "exec" / "000000.parquet"
    data = bytearray(file.read_bytes())
    data[20:400] = b"\xff" * 380
    file.write_bytes(data)


def foreign(folder: Path) -> None:
    (folder / "manifest.jsonl").write_text("hello\n")


def gone(folder: Path) -> None:
    (folder / "exec" / "000000.parquet").unlink()


def linked(folder: Path) -> None:
    file = folder / "exec" / "000000.parquet"
    file.rename(folder / "elsewhere")
    file.symlink_to(folder / "elsewhere")


def rewritten(folder: Path, table: pa.Table) -> None:
    file = folder / "exec" / "000000.parquet"
    pq.write_table(table, file)
    manifest = folder / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines = [line | ({"bytes": file.stat().st_size} if line.get("table") == "exec" else {}) for line in lines]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))


def retyped(folder: Path) -> None:
    table = pq.read_table(folder / "exec" / "000000.parquet")
    rewritten(folder, table.set_column(table.schema.get_field_index("pid"), "pid", table["pid"].cast(pa.string())))


def without_a_column(folder: Path) -> None:
    rewritten(folder, pq.read_table(folder / "exec" / "000000.parquet").drop_columns(["comm"]))


def with_other_rows(folder: Path) -> None:
    rewritten(folder, pq.read_table(folder / "exec" / "000000.parquet").slice(0, 3))


def of_no_text(folder: Path) -> None:
    table = pq.read_table(folder / "exec" / "000000.parquet")
    bad = pa.array([b"\xff\xfe"] * len(table), pa.binary()).view(pa.string())
    rewritten(folder, table.set_column(table.schema.get_field_index("filename"), "filename", bad))


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (newer, "recording format 9"),
    (truncated, "bytes where"),
    (damaged, "exec/000000.parquet"),
    (foreign, "is not a recording"),
    (gone, "is missing"),
    (linked, "is not a regular file"),
    (retyped, "wrong column, or misses one: pid"),
    (without_a_column, "wrong column, or misses one: comm"),
    (with_other_rows, "has 3 rows where the manifest says 11"),
    (of_no_text, "exec/000000.parquet"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_recording_that_is_none_is_refused(damage: Callable[[Path], None], said: str, copy: Path, out: Path) -> None:
    damage(copy)
    assert said in fails(request(copy, out / "copy", key=out / "key"), 65, out)


def test_the_command_says_what_is_wrong_with_a_recording(copy: Path, out: Path, cli: Cli) -> None:
    assert "no recording at" in command_fails(cli("bpftape", "share", out / "none", "--output", out / "copy"), 65, out)
    damaged(copy)
    assert "exec/000000.parquet" in command_fails(cli("bpftape", "share", copy, "--output", out / "copy", "--key", out / "key"), 65, out)


def test_what_was_closed_of_a_half_written_recording_is_shared(copy: Path, out: Path) -> None:
    manifest = copy / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"recording"' not in line or "bpftape_format" in line]
    manifest.write_text("".join(kept) + '{"path": "exit/0000')
    (copy / "exit" / "000001.parquet.tmp").write_bytes(b"PAR1")
    share(request(copy, out / "copy"))
    assert sum(len(segments) for segments in open_recording(out / "copy").tables.values()) == len(kept) - 1


def test_an_output_that_is_there_is_left_alone(recording: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for place in (tmp_path / "folder", tmp_path / "file", tmp_path / "link"):
        assert f"{place} exists" in fails(request(recording, place), 73, out)
    assert list((tmp_path / "folder").iterdir()) == []


def test_an_output_that_cannot_be_made_is_an_error(recording: Path, out: Path) -> None:
    assert "is no folder" in fails(request(recording, out / "no" / "copy"), 73, out)
    if os.geteuid():
        out.chmod(0o500)
        fails(request(recording, out / "copy"), 73, out)


@pytest.mark.parametrize("name", ["web1.bpftape", "web1_20260115T120000Z.bpftape", "x_WEB1", "web1-copy", "of-web1.example.bpftape"])
def test_a_name_of_the_output_that_tells_the_host_is_refused(name: str, recording: Path, out: Path) -> None:
    assert "host's name" in fails(request(recording, out / name), 2, out)


def test_a_host_without_its_domain_is_told_by_a_name_too_and_what_only_begins_like_it_is_not(tmp_path: Path, out: Path) -> None:
    rows = read_rows()
    rows["recording"][0]["host"] = "db7.example.com"
    recording = write_recording(tmp_path / "db7.example.com", rows)
    assert "host's name" in fails(request(recording, out / "copy-of-db7"), 2, out)
    assert share(request(recording, out / "db77.bpftape")).rows > 0


def test_a_key_that_others_can_read_is_refused(recording: Path, out: Path, tmp_path: Path, cli: Cli) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    said = command_fails(cli("bpftape", "share", recording, "--output", out / "copy", "--key", tmp_path / "key"), 77, out)
    assert "mode 0644" in said


def test_a_policy_that_is_wrong_is_refused_before_anything_is_written(recording: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "standard"\n[columns]\nexec.arguments = "drop"\n')
    assert "exec.arguments, which there is not" in fails(request(recording, out / "copy", str(tmp_path / "mine.toml"), out / "key"), 2, out)
    assert "Built in: minimal, standard, strict" in fails(request(recording, out / "copy", "xyz"), 2, out)


def test_a_disk_without_room_ends_it_and_nothing_is_left(recording: Path, out: Path) -> None:
    command = [str(Path(sys.executable).parent / "bpftape"), "share", str(recording), "--output", str(out / "copy"), "--key", str(out / "key")]
    small = 3_000  # bytes that a file may have: some segments fit, others do not

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=REPO, preexec_fn=limit)
    assert f"Writing {out / 'copy'} failed: " in command_fails(done, 74, out)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_and_nothing_is_left(signum: signal.Signals, code: int, recording: Path, out: Path) -> None:
    # It arrives when all is written and nothing is checked yet.
    program = (
        f"import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from analyzer.share import leaks; leaks.Check.run = lambda *_: os.kill(os.getpid(), {int(signum)})\n"
        f"from recorder.bpftape import main; main()"
    )
    command = [sys.executable, "-c", program, "share", str(recording), "--output", str(out / "copy"), "--key", str(out / "key")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=REPO)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_a_full_file_system_ends_it_and_nothing_is_left(recording: Path, out: Path, cli: Cli) -> None:
    share = f"{cli.path('bpftape')} share {recording} --output {out}/copy"
    script = f"mount -t tmpfs -o size=64k tmpfs {out} && {share}; code=$?; ls -A {out}; exit $code"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False, timeout=60, cwd=REPO)
    assert "failed: No space left on device." in command_fails(done, 74, out)
