"""The third layer, by itself: what a confined process can open with DuckDB wide open and any SQL allowed; and that nothing honest breaks."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import landlock
from analyzer.packing import pack
from tests.analyzer.conftest import run
from tests.support import REPO

needs_landlock = pytest.mark.skipif(landlock.version() < 2, reason="this kernel has no Landlock that can move files (version 2, Linux 5.19)")
needs_tcp = pytest.mark.skipif(landlock.version() < 4, reason="this kernel's Landlock knows no TCP (version 4, Linux 6.7)")

# Done one after the other in one process, which prints what came of each: the kernel's refusal, or what it got.
ATTEMPTS = """
import json, sys
from pathlib import Path
from analyzer.confinement import confine
folder, attempts = sys.argv[1], json.load(sys.stdin)
confine([Path(folder)])
import duckdb
for kind, what in attempts:
    try:
        if kind == "sql":
            with duckdb.connect(":memory:", config={"allow_unsigned_extensions": True}) as connection:
                got = [connection.execute(each).fetchall() for each in what]
        else:
            got = eval(what)
        print(json.dumps(["got", str(got)]))
    except BaseException as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""

# {out} does not exist, {secret} is a readable file outside of the recording, {place} the folder of both, {segment} a file of the recording.
SQL = [
    ["COPY (SELECT 1) TO '{out}'"],
    ["COPY (SELECT 1) TO '{out}' (FORMAT parquet, USE_TMP_FILE false)"],
    ["COPY (SELECT 1) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)"],
    ["COPY (SELECT 1) TO '{segment}'"],
    ["COPY (SELECT 1 AS a) TO '{place}' (FORMAT csv, PARTITION_BY a, OVERWRITE_OR_IGNORE)"],
    ["CREATE TABLE t (a VARCHAR)", "COPY t FROM '{secret}'"],
    ["ATTACH '{out}'"],
    ["ATTACH '{out}' AS o", "CREATE TABLE o.t AS SELECT 1"],
    ["CREATE TABLE t AS SELECT 1", "EXPORT DATABASE '{out}'"],
    ["IMPORT DATABASE '{place}'"],
    ["LOAD '{secret}'"],
    ["INSTALL '{secret}'"],
    ["SELECT * FROM '{secret}'"],
    ["SELECT * FROM read_text('{secret}')"],
    ["SELECT * FROM read_blob('{secret}')"],
    ["SELECT * FROM read_csv('{secret}')"],
    ["SELECT * FROM read_text('/proc/self/environ')"],
    ["SELECT * FROM read_text('/etc/passwd')"],
    ["SELECT * FROM read_text('{place}/copy.bpftape/../secret.csv')"],
    ["PRAGMA enable_profiling = 'json'", "PRAGMA profile_output = '{out}'", "SELECT 42"],
]
PYTHON = [
    "open({secret!r}).read()",
    "open({out!r}, 'w')",
    "open({segment!r}, 'r+b')",
    "__import__('os').unlink({segment!r})",
    "__import__('os').truncate({segment!r}, 0)",
    "__import__('os').rename({segment!r}, {segment!r} + 'x')",
    "__import__('os').link({secret!r}, {out!r})",
    "__import__('os').symlink({secret!r}, {out!r})",
    "__import__('os').mkdir({out!r})",
    "__import__('os').mkfifo({out!r})",
    "__import__('os').listdir({place!r})",
    "__import__('os').listdir('/root')",
    "open('/proc/self/environ').read()",
    "open('/proc/1/cmdline').read()",
    "open('/dev/kmsg').read(1)",
    "__import__('subprocess').run(['/bin/true'])",
    "__import__('os').execv('/bin/true', ['true'])",
    "__import__('os').kill(1, 0)",
]


@pytest.fixture
def names(tmp_path: Path, copy: Path) -> dict[str, str]:
    secret = tmp_path / "secret.csv"
    secret.write_text("the secret\n")
    return {"out": str(tmp_path / "out"), "secret": str(secret), "place": str(tmp_path), "segment": str(copy / "exec" / "000000.parquet")}


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder" for path in folder.rglob("*")}


def attempt(folder: Path, attempts: list[list[object]]) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(folder)],
        input=json.dumps(attempts),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(attempts), done.stdout
    return found


@needs_landlock
def test_landlock_refuses_by_itself_where_duckdb_is_wide_open_and_nobody_looks_at_the_sql(names: dict[str, str], copy: Path) -> None:
    before = contents(copy.parent)
    found = attempt(copy, [["sql", [each.format(**names) for each in statements]] for statements in SQL])
    assert [(statements, each) for statements, each in zip(SQL, found, strict=True) if each[0] == "got"] == []
    assert contents(copy.parent) == before


@needs_landlock
def test_landlock_refuses_what_a_fault_of_the_reader_could_do(names: dict[str, str], copy: Path) -> None:
    before = contents(copy.parent)
    found = attempt(copy, [["python", each.format(**names)] for each in PYTHON])
    assert [(code, each) for code, each in zip(PYTHON, found, strict=True) if each[0] not in ("PermissionError", "OSError")] == []
    assert contents(copy.parent) == before


@needs_tcp
def test_a_confined_process_makes_no_tcp_connection_and_takes_none(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        found = attempt(
            copy, [["python", f"__import__('socket').create_connection({address})"], ["python", "__import__('socket').create_server(('', 0))"]]
        )
    assert [each[0] for each in found] == ["PermissionError", "PermissionError"]


@needs_landlock
def test_a_folder_is_not_listed_that_was_not_given(names: dict[str, str], copy: Path) -> None:
    (found,) = attempt(copy, [["sql", ["SELECT * FROM glob('{place}/*')".format(**names)]]])
    assert found[0] != "got" or found[1] == "[[]]"


@needs_landlock
def test_the_recording_and_the_spill_folder_are_what_is_left(names: dict[str, str], copy: Path) -> None:
    read = ["SELECT count(*) > 0 FROM read_parquet('{segment}')".format(**names)]
    made = "open(__import__('tempfile').mkstemp()[1], 'w').write('spilled')"
    assert attempt(copy, [["sql", read], ["python", made]]) == [["got", "[[(True,)]]"], ["got", "7"]]


DEMO = REPO / "fixtures" / "demo.bpftape"

# What each command needs to open beside the recording. Tests elsewhere run most verbs in their own process, where nothing is given up.
HONEST = {
    "output": ["analyzer.cli", "overview", "{recording}", "-o", "made.csv", "--format", "csv"],
    "parquet": ["analyzer.cli", "overview", "{recording}", "-o", "made.parquet", "--format", "parquet"],
    "junit": ["analyzer.cli", "--expect", "no_kills", "{recording}", "--junit", "made.xml", "-o", "made.txt"],
    "device": ["analyzer.cli", "overview", "{recording}", "-o", "/dev/null"],
    "follow": ["analyzer.cli", "overview", "{recording}", "--follow", "-o", "made.txt"],
    "info": ["recorder.bpftape", "info", "{recording}"],
    "verify": ["recorder.bpftape", "verify", "--decode", "{recording}"],
    "ls": ["recorder.bpftape", "ls", "{folder}"],
    "replay": ["recorder.bpftape", "replay", "--speed", "max", "{recording}"],
    "diff": ["recorder.bpftape", "diff", "{recording}", "{recording}"],
    "pack": ["recorder.bpftape", "pack", "{recording}", "-o", "made.bpftape.zip"],
    "unpack": ["recorder.bpftape", "unpack", "{packed}", "-o", "."],
    "merge": ["recorder.bpftape", "merge", "{recording}", "{demo}", "-o", "made.bpftape"],
    "sql": ["recorder.bpftape", "sql", "{recording}"],
    "share": ["recorder.bpftape", "share", "{recording}", "-o", "made.bpftape", "--key", "key"],
    "recover": ["recorder.bpftape", "recover", "{recording}"],
    **{
        form: ["recorder.bpftape", "export", "--format", form, "{recording}", "-o", f"made.{form}"] for form in ("csv", "duckdb", "jsonl", "perfetto")
    },
}


def test_each_verb_that_reads_recordings_is_tried() -> None:
    modules = {path.stem for folder in ("analyzer", "recorder") for path in (REPO / folder / "verbs").glob("[!_]*.py")}
    assert modules - {words[1] for words in HONEST.values()} == {"doctor", "new_report", "schema"}


@needs_landlock
@pytest.mark.parametrize("name", HONEST)
def test_what_a_command_needs_is_left_to_it(name: str, copy: Path, tmp_path: Path) -> None:
    packed = pack(copy, tmp_path / "packed.bpftape.zip")
    module, *words = (word.format(recording=copy, folder=copy.parent, packed=packed, demo=DEMO) for word in HONEST[name])
    here, spill = tmp_path / "here", tmp_path / "tmp"
    here.mkdir()
    spill.mkdir()
    done = run("tests.analyzer.confined", module, *words, cwd=here, env={"TMPDIR": str(spill)})
    assert "was confined\n" in done.stderr
    assert done.returncode in (0, 1 if name == "junit" else 0), done.stderr
    assert "denied" not in done.stderr + done.stdout
    assert [word for word in words if word.startswith(("made", "key")) and not (here / word).exists()] == []
    assert list(spill.iterdir()) == []


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have the kernel forget what it cached")
def test_what_is_left_to_a_command_is_left_to_it_when_memory_is_short() -> None:
    code = (
        "from pathlib import Path; from analyzer import landlock; caches = open('/proc/sys/vm/drop_caches', 'w'); own = Path('/proc/self/cgroup'); "
        "landlock.restrict([(own, landlock.READ)]); caches.write('2'); caches.flush(); own.read_text(); print(Path('/etc/passwd').read_text())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, cwd=REPO)
    assert done.stderr.splitlines()[-1] == "PermissionError: [Errno 13] Permission denied: '/etc/passwd'"


def test_a_large_sort_spills_into_a_folder_of_its_own(recording: Path, tmp_path: Path) -> None:
    sql = "SELECT max(x) AS x FROM (SELECT (range * 7919) % 1000003 || repeat('y', 200) AS x FROM range(4000000) ORDER BY x LIMIT 3900000)"
    code = (
        "import sys, analyzer.limits; analyzer.limits._MEMORY_MAX_BYTES = 300 << 20; from analyzer.cli import main; "
        f"sys.argv = ['analyze', '--sql', {sql!r}, {str(recording)!r}, '--format', 'csv']; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, cwd="/", env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()[1]) == 206
    assert list(tmp_path.iterdir()) == []
