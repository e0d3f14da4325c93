"""Verbs of ``bpftape`` are found by their place; each shows how it is used, and speaks JSON, but for those that have a reason."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

import recorder.bpftape  # noqa: F401 - adds the recorder's verbs
from analyzer.packing import pack
from analyzer.verbs import WITHOUT_JSON, app
from tests.analyzer.verbs import verb as run
from tests.support import REPO

VERBS = sorted(path.stem.replace("_", "-") for side in ("analyzer", "recorder") for path in (REPO / side / "verbs").glob("[a-z]*.py"))

DEMO = REPO / "fixtures" / "demo.bpftape"

# How each verb is called that does what it should, and a field of what it prints.
WORKS = {
    "diff": (["{recording}", "{demo}"], "coverage"),
    "doctor": ([], "checks"),
    "export": (["{recording}", "--format", "csv", "-o", "{folder}/made"], "coverage"),
    "info": (["{recording}"], "recording_id"),
    "ls": (["{folder}"], "recording"),
    "merge": (["{recording}", "{demo}", "-o", "{folder}/made.bpftape"], "parts"),
    "pack": (["{recording}", "-o", "{folder}/made.bpftape.zip"], "packed"),
    "recover": (["{recording}"], "missing"),
    "replay": (["{recording}", "--speed", "max"], "event"),
    "schema": (["exec"], "columns"),
    "share": (["{recording}", "-o", "{folder}/made.bpftape"], "policy"),
    "unpack": (["{packed}", "-o", "{folder}/unpacked"], "unpacked"),
    "verify": (["{recording}"], "state"),
}
# How each is called that fails, and the exit code.
FAILS = {
    "diff": (["{demo}", "{folder}/none"], 65),
    "export": (["{recording}", "--format", "csv", "-o", "{folder}"], 73),
    "info": (["{folder}/none"], 65),
    "ls": (["{folder}/none"], 65),
    "merge": (["{demo}", "{demo}", "-o", "{folder}/made.bpftape"], 2),
    "pack": (["{folder}/none"], 65),
    "recover": (["{folder}/none"], 65),
    "replay": (["{recording}", "--where", "nonsense"], 2),
    "schema": (["none"], 2),
    "share": (["{recording}", "-o", "{folder}"], 73),
    "unpack": (["{folder}/none"], 65),
    "verify": (["{folder}/none"], 65),
}
# What else prints JSON, in the place of the one document: a line for each of what comes one by one.
LINES = {"replay"}
# What it exits with where the host cannot record is what it prints, and no error.
NEVER_FAILS = {"doctor"}


@pytest.fixture
def places(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("BPFTAPE_BCC", "/nonexistent")  # the doctor loads no program then
    (tmp_path / "unpacked").mkdir()
    packed = pack(copy, tmp_path / "packed.bpftape.zip")
    return {"recording": str(copy), "folder": str(tmp_path), "packed": str(packed), "demo": str(DEMO)}


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_shows_how_it_is_used(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"], prog_name="bpftape")
    assert done.exit_code == 0, done.output
    assert f"bpftape {verb}" in " ".join(done.output.partition("Examples")[2].split())


def test_every_verb_has_json_or_a_reason_to_have_none() -> None:
    having = {verb for verb in VERBS if "--json" in CliRunner().invoke(app, [verb, "--help"], prog_name="bpftape").output}
    assert having == set(VERBS) - set(WITHOUT_JSON) == set(WORKS) == set(FAILS) | NEVER_FAILS
    assert set(WITHOUT_JSON) < set(VERBS)


@pytest.mark.parametrize("verb", WORKS)
def test_json_of_every_verb_is_one_document_of_plain_ascii_and_its_text_is_none(verb: str, places: dict[str, str]) -> None:
    arguments, field = WORKS[verb]
    words = [word.format(**places) for word in arguments]
    done = run(verb, *words, "--json")
    assert done.returncode == 0 or verb in NEVER_FAILS, done.stderr
    found = list(map(json.loads, done.stdout.splitlines() if verb in LINES else [done.stdout]))
    assert len(found) > 10 or verb not in LINES
    assert all(field in (item[0] if isinstance(item, list) else item) for item in found)
    assert done.stdout.isascii()
    assert done.stdout.replace("\n", "").isprintable()
    for word in words:  # what was made has to be made once more
        if "/made" in word or word.endswith("/unpacked"):
            Path(word).rename(f"{word}-before")
            if word.endswith("/unpacked"):
                Path(word).mkdir()
    plain = run(verb, *words)
    text = plain.stdout or plain.stderr  # export has nothing to say on stdout
    assert text.strip()
    with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
        json.loads(text)


@pytest.mark.parametrize("verb", FAILS)
def test_what_goes_wrong_is_said_on_stderr_with_json_too(verb: str, places: dict[str, str]) -> None:
    arguments, code = FAILS[verb]
    words = [word.format(**places) for word in arguments]
    done, plain = run(verb, *words, "--json"), run(verb, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("error: ")
    assert (plain.returncode, plain.stderr) == (code, done.stderr)


def test_two_formats_at_once_are_refused(places: dict[str, str]) -> None:
    done = run("diff", places["demo"], places["demo"], "--json", "--format", "csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "two formats" in done.stderr


def test_whether_a_recording_may_be_read_is_for_the_verb_to_find_out(copy: Path) -> None:
    with mock.patch("os.access", return_value=False):  # by which typer would tell, with a usage error
        assert run("info", copy).returncode == 0
        assert run("verify", copy, copy).returncode == 0
