"""The manual pages, as readers and the tools for them see them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.manual import write_pages
from recorder.manual.commands import Entry, entries
from recorder.manual.exit_status import MEANINGS
from recorder.manual.page import page, prose
from tests.support import REPO, Cli

ENTRIES = {entry.page_name: entry for entry in entries()}
# What mandoc says of pages that are not for NetBSD, and of those that are not installed yet.
NOT_MEANT = re.compile(r"STYLE: (operating system explicitly specified|referenced manual not found)")
HOSTILE = ".so /etc/passwd", "'de x", r"back\slash \fBand\fR \(co", '"quoted" -- words', "Fl Ar No It", "a. b", "x'y `z` ~^"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.stem: path for path in write_pages(tmp_path_factory.mktemp("man1"))}


def mandoc(source: str, *arguments: str) -> str:
    done = subprocess.run(["mandoc", *arguments], input=source, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def read(source: str) -> str:
    """Return what a reader sees, on lines that are long enough for any command, without the overstriking of bold letters."""
    return re.sub(r".\x08", "", mandoc(source, "-T", "utf8", "-O", "width=1000"))


def lint(source: str) -> Iterator[str]:
    yield from (line for line in mandoc(source, "-T", "lint", "-W", "style").splitlines() if not NOT_MEANT.search(line))


def test_every_command_and_every_verb_has_a_page(pages: dict[str, Path], cli: Cli) -> None:
    folders = [REPO / side / "verbs" for side in ("analyzer", "recorder")]
    verbs = {path.stem.replace("_", "-") for folder in folders for path in folder.glob("[a-z]*.py")}
    assert {"verify", "new-report", "doctor"} <= verbs
    assert set(pages) == {"record", "analyze", "bpftape", *(f"bpftape-{verb}" for verb in verbs)}
    read_page = read(pages["bpftape"].read_text())
    assert all(f"bpftape-{verb}(1)" in read_page for verb in verbs)
    assert "bpftape-verify" not in cli("bpftape", "--help").stdout


@pytest.mark.parametrize("name", ENTRIES)
def test_a_page_says_what_help_says(name: str, pages: dict[str, Path], cli: Cli) -> None:
    source = pages[name].read_text()
    assert list(lint(source)) == []
    words = read(source)
    shown = cli(*ENTRIES[name].words.split(" "), "--help", env={"COLUMNS": "1000", "TERM": "dumb"}).stdout
    options = set(re.findall(r"^│[ *]+(--[\w-]+)", shown, re.MULTILINE))
    assert "--help" in options
    assert {option for option in options if not re.search(rf"^ +{option}\b", words, re.MULTILINE)} == set()
    examples = [line.partition(": ")[2].strip() for line in shown.partition(" Examples ")[2].splitlines() if ": " in line]
    commands = [command for command in examples if command.startswith(("record ", "analyze ", "bpftape ", "sudo "))]
    assert commands or name == "bpftape"
    assert [command for command in commands if not re.search(rf"^ +{re.escape(command)}$", words, re.MULTILINE)] == []


def test_man_finds_name_and_purpose(pages: dict[str, Path]) -> None:
    # lexgrog is what whatis and apropos know pages by.
    found = subprocess.run(["lexgrog", *pages.values()], capture_output=True, text=True, check=True, timeout=60).stdout
    assert 'verify.1: "bpftape-verify - read all of each recording, and say what is damaged' in found
    assert 'record.1: "record - record what this host does"' in found
    assert len(found.splitlines()) == len(pages)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_as_it_is(text: str) -> None:
    entry = ENTRIES["bpftape-verify"]
    odd = Entry(entry.words, entry.module, (text, text), entry.parameters, {text: text}, {"verb": text})
    source = page(odd, ["record"])
    shown = read(source)
    assert list(lint(source)) == []
    assert text in shown.partition("EXAMPLES")[2]
    assert text.replace("`", "") in shown.partition("DESCRIPTION")[2].partition("EXIT STATUS")[0]


def test_each_sentence_has_a_line_of_its_own() -> None:
    assert list(prose("It is. So be it! Does\nit, e.g. end? Yes.")) == ["It is.", "So be it!", "Does it, e.g. end?", "Yes."]


def test_exit_codes_are_those_of_the_readme(pages: dict[str, Path]) -> None:
    table = (REPO / "README.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)}
    assert rows == {code: meaning for code, meaning in MEANINGS.items() if code < 126}
    status = {name: read(pages[name].read_text()).partition("EXIT STATUS")[2] for name in ("record", "analyze")}
    assert re.search(r"^ +70 +BPF programs cannot be loaded", status["record"], re.MULTILINE)
    assert not re.search(r"^ +70 ", status["analyze"], re.MULTILINE)
    assert re.search(r"^ +65 +the recording is missing", status["analyze"], re.MULTILINE)
