"""Parquet that lies, where the sizes in the manifest are right: an answer or one typed error, never a crash, and not for ever."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from analyzer.answer import ask
from analyzer.errors import AnalyzerError, Exit
from analyzer.recording import open_recording
from analyzer.report import Report
from analyzer.sandbox import open_sandbox
from recorder.schema import MANIFEST
from tests.analyzer.conftest import Analyze, error_of, on_terminal
from tests.fuzz.footer import claiming
from tests.rows import read_rows, write_recording

EVERYTHING = Report("everything", "SELECT * FROM exec ORDER BY ALL")
MUTATIONS = 60
TIMEOUT_S = 10


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change a few bytes, most of them in the footer, where all counts, offsets and types are."""
    changed = bytearray(data)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(chance.randint(1, 4)):
        begin = 0 if chance.random() < 0.3 else footer
        changed[chance.randrange(begin, len(data))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    return bytes(changed)


def outcome(folder: Path) -> int | AnalyzerError:
    """Return how many rows there are, or the error."""
    try:
        with open_sandbox([open_recording(folder)], TIMEOUT_S) as sandbox:
            return sum(map(len, ask(sandbox, EVERYTHING, {}).result.batches))
    except AnalyzerError as error:
        return error


@pytest.mark.parametrize("table", ["exec", "coverage", "recording", "probe"])
def test_a_segment_with_changed_bytes_gives_an_answer_or_one_error(table: str, copy: Path) -> None:
    path = copy / table / "000000.parquet"
    sound = path.read_bytes()
    chance = random.Random(table)
    errors = []
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(sound, chance))
        found = outcome(copy)
        errors += [found] if isinstance(found, AnalyzerError) else []
    assert errors
    assert [error.message for error in errors if error.code != Exit.RECORDING or not error.message.isprintable()] == []


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM exec", "SELECT EXISTS (SELECT 1 FROM exec)", "WITH x AS (FROM exec) SELECT count(*) FROM x"])
@pytest.mark.parametrize("rows", [0, 7, 1 << 40])
def test_a_footer_that_claims_other_rows_than_were_written_is_noticed_where_rows_are_counted(sql: str, rows: int, copy: Path) -> None:
    path = copy / "exec" / "000000.parquet"
    sound = path.read_bytes()
    written = read_rows()["exec"]
    path.write_bytes(claiming(sound, rows))
    manifest = copy / MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"bytes": {len(sound)}', f'"bytes": {path.stat().st_size}'))
    with open_sandbox([open_recording(copy)], TIMEOUT_S) as sandbox:
        with pytest.raises(AnalyzerError, match=f"files of exec claim {rows:,} rows where the manifest says {len(written)}") as caught:
            sandbox.execute(sandbox.prepare(sql, "report"), "report")
        assert caught.value.code == Exit.RECORDING
        # Where values are read, DuckDB finds it by itself.
        with pytest.raises(AnalyzerError):
            list(sandbox.execute(sandbox.prepare("SELECT max(pid) FROM exec", "report"), "report").batches)


def test_a_columns_name_may_not_be_text(copy: Path) -> None:
    path = copy / "exec" / "000000.parquet"
    path.write_bytes(path.read_bytes().replace(b"argv_truncated", b"argv\xff\xfetruncate"))
    found = outcome(copy)
    assert isinstance(found, AnalyzerError)
    assert (found.code, found.message) == (Exit.RECORDING, "A file of the recording is damaged: a column's name is not UTF-8")


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl", "md"])
def test_no_text_of_a_recording_steers_a_terminal_in_any_format(form: str, tmp_path: Path) -> None:
    hostile = "\x1b[2J\x9b31m\x07\u202e\r\nnext\x00\x7f"
    rows = read_rows()
    rows["exec"] = [rows["exec"][0] | {"comm": hostile, "argv": [hostile], "filename": hostile}]
    rows["recording"][0]["filters"] = [f"comm={hostile}"]
    rows["probe"][1] |= {"status": "failed", "reason": hostile, "hook": hostile}
    folder = write_recording(tmp_path / "x\x1b[2J.bpftape", rows)
    status, lines = on_terminal("--sql", 'SELECT comm, argv, filename, recording.host AS "\x1b[2J" FROM exec, recording', folder, "--format", form)
    assert status == 0
    assert len(lines) >= 1
    assert [line for line in lines if not line.isprintable()] == []


def test_what_is_said_on_stderr_steers_none_either(tmp_path: Path, analyze: Analyze) -> None:
    rows = read_rows()
    rows["probe"][1] |= {"status": "failed", "reason": "\x1b[2J", "hook": "\x9b"}
    folder = write_recording(tmp_path / "x\x1b[2J.bpftape", rows)
    said = analyze("--sql", "SELECT count(*) FROM exec", folder).stderr
    assert "\\x9b could not be attached: \\x1b[2J" in said
    assert said.replace("\n", "").isprintable()
    (folder / "exec" / "000000.parquet").unlink()
    assert error_of(analyze("overview", folder), 65).replace("\n", "").isprintable()
