"""What came of the tests in virtual machines: read from pytest, kept in results.json, shown as a table in README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from junitparser import JUnitXml, Properties, TestCase

from tests.support import REPO
from tests.vm.guests import GUESTS, PODMAN

RESULTS = Path(__file__).with_name("results.json")
README = REPO / "README.md"
BEGIN, END = "<!-- kernels: begin, made by make vm-test -->", "<!-- kernels: end -->"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test."""

    file: str
    name: str
    passed: bool
    why: str
    said: dict[str, str] = field(default_factory=dict)
    """Properties that the test recorded."""


def _outcome(case: TestCase) -> Outcome:
    why = "; ".join(str(result.message).splitlines()[0] for result in case.result)
    said = {str(each.name): str(each.value) for each in case.child(Properties) or ()}  # type: ignore[no-untyped-call]
    return Outcome(str(case.classname).rsplit(".", 1)[-1], str(case.name), not case.result, why, said)


def read_outcomes(junit: Path) -> list[Outcome]:
    """Read pytest's XML."""
    return [_outcome(case) for suite in JUnitXml.fromfile(str(junit)) for case in suite]


_LINE = re.compile(r"^\S*?(\w+)\.py::(.+?) (PASSED|FAILED|ERROR) +\[ *\d+%\]", re.MULTILINE)


def read_console(text: str) -> list[Outcome]:
    """Return what is known of the tests of a guest that did not come to its end: pytest's own lines on its console."""
    last = {(file, name): word for file, name, word in _LINE.findall(text)}
    return [Outcome(file, name, word == "PASSED", word) for (file, name), word in last.items()]


def as_json(release: str, land: str, seconds: float, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what results.json has of one guest: by file, its tests that passed and those that did not. Longer runs are no part of it."""
    files: dict[str, dict[str, list[str]]] = {}
    for outcome in (outcome for outcome in outcomes if outcome.file.startswith("test_")):
        file = files.setdefault(outcome.file, {"passed": [], "failed": []})
        file["passed" if outcome.passed else "failed"].append(outcome.name)
    tests = {name: {kind: sorted(names) for kind, names in file.items()} for name, file in files.items()}
    return {"kernel": release, "debian": land, "seconds": round(seconds), "tests": tests}


def _cell(file: dict[str, list[str]] | None) -> str:
    if file is None:
        return ""
    passed, failed = len(file["passed"]), len(file["failed"])
    return f"{passed} of {passed + failed}" if failed else f"{passed}"


def table(results: dict[str, Any]) -> str:
    """Return the table: a line a file of tests, a column a guest, how many tests passed."""
    if not results:
        return "None is kept yet."
    chosen = [guest for guest in (*GUESTS, PODMAN) if guest.name in results]
    guests = [results[guest.name] for guest in chosen]
    lines = [["tests passed", *(f"Linux {guest['kernel']}" for guest in guests)], ["---"] * (1 + len(guests))]
    lines.append(["programs of Debian", *(results[guest.name]["debian"] + (f", {guest.mark}" if guest.mark else "") for guest in chosen)])
    files = sorted({file for guest in guests for file in guest["tests"]})
    lines += [[file.removeprefix("test_").replace("_", " "), *(_cell(guest["tests"].get(file)) for guest in guests)] for file in files]
    totals = [{kind: [name for file in guest["tests"].values() for name in file[kind]] for kind in ("passed", "failed")} for guest in guests]
    lines.append(["**all**", *(f"**{_cell(total)}**" for total in totals)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fresh(text: str, results: dict[str, Any]) -> str:
    """Return the README's text with the table made anew; raise ValueError where its place is missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"README.md must have the line {BEGIN} and the line {END}, once each")
    return f"{text[: text.index(BEGIN) + len(BEGIN)]}\n{table(results)}\n{text[text.index(END) :]}"


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a guest after a run of some tests: the last outcome of each, as long as kernel and programs are the same."""
    if (old["kernel"], old["debian"]) != (new["kernel"], new["debian"]):
        return new
    tests = dict(old["tests"])
    for file, outcomes in new["tests"].items():
        before = tests.get(file, {"passed": [], "failed": []})
        again = {*outcomes["passed"], *outcomes["failed"]}
        tests[file] = {kind: sorted([*outcomes[kind], *(name for name in before[kind] if name not in again)]) for kind in before}
    return {**old, "tests": tests}


def known() -> dict[str, Any]:
    """Return what results.json has."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def keep(guest: str, made: dict[str, Any], is_all: bool) -> None:
    """Put what came of a guest into results.json, and the table into README.md; where these are not all its tests, beside the others."""
    if not made["tests"]:
        return
    results = known()
    results[guest] = made if is_all or guest not in results else merged(results[guest], made)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    README.write_text(fresh(README.read_text(), results))
