"""What `make vm-test` makes of a virtual machine that works, panics, hangs its tests or does not start; a shell script stands for QEMU."""

from __future__ import annotations

import fnmatch
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support import REPO
from tests.vm import machine, results
from tests.vm.disks import Parts
from tests.vm.guests import GUESTS, PODMAN, Guest, chosen
from tests.vm.results import README, as_json, fresh, known, merged, read_outcomes, table
from tests.vm.selection import LASTS_TOO_LONG, LEFT_OUT

JUNIT = """<testsuites><testsuite name="pytest">
<testcase classname="tests.kernel.test_argv" name="test_one[a]" time="1"/>
<testcase classname="tests.kernel.test_argv" name="test_two" time="1"><failure message="assert 1 == 2&#10;more">text</failure></testcase>
<testcase classname="tests.kernel.test_tcp_who" name="test_three" time="1"><error message="failed on setup">text</error></testcase>
<testcase classname="tests.kernel.test_tcp_who" name="test_four" time="1"><skipped message="no luck">text</skipped></testcase>
</testsuite></testsuites>"""
GOOD = '<testsuites><testsuite name="pytest"><testcase classname="tests.kernel.test_argv" name="test_one" time="1"/></testsuite></testsuites>'
PANICS = 'echo "[    1.0] Kernel panic - not syncing: Attempted to kill init!" >"$1"'
BREAKS_OFF = 'echo "tests/kernel/test_argv.py::test_one PASSED   [  7%]" >"$1"; echo "[   99.0] BUG: soft lockup" >>"$1"'


def finishes(folder: Path, junit: str) -> str:
    """Return the script of a guest that writes its results."""
    (folder / "junit.xml").write_text(junit)
    with tarfile.open(folder / "results.tar", "w") as archive:
        archive.add(folder / "junit.xml", "./junit.xml")
    return f'echo "tests/kernel/test_argv.py::test_one FAILED   [ 50%]" >"$1"; cat {folder}/results.tar >"$2"'


def boot(folder: Path, monkeypatch: pytest.MonkeyPatch, *scripts: str) -> tuple[machine.Run, list[str], int]:
    """Run a guest whose first boot does what the first script says, and so on; return what came of it, what was said, and the number of boots."""
    (folder / "release").write_text("1.2.3-cloud\n")
    left = iter(scripts)
    boots: list[str] = []

    def command(_: Guest, made: Parts, scratch: Path, log: Path) -> list[str]:
        assert made.image.name == "image"
        assert (scratch / machine.SOURCE).stat().st_size
        boots.append(next(left))
        return ["/bin/sh", "-c", boots[-1], "sh", str(log), str(scratch / machine.RESULTS)]

    monkeypatch.setattr(machine, "CACHE", folder / "cache")
    monkeypatch.setattr(machine, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(machine, "parts", lambda _: Parts(folder, folder, folder / "image"))
    monkeypatch.setattr(machine, "make_source", lambda path, *_: path.write_text("source"))
    monkeypatch.setattr(machine, "command", command)
    said: list[str] = []
    return machine.run(Guest("1.2", kernel="one", land="two"), ["tests"], said.append), said, len(boots)


def test_a_guest_whose_tests_pass_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said, boots = boot(tmp_path, monkeypatch, finishes(tmp_path, GOOD))
    assert (run.is_good, run.release, run.why, boots) == (True, "1.2.3-cloud", "", 1)
    assert said == ["1.2.3-cloud, Debian's two: booting"] or "FAILED tests/kernel/test_argv.py::test_one" in said


def test_a_guest_with_a_test_that_did_not_pass_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, boots = boot(tmp_path, monkeypatch, finishes(tmp_path, JUNIT))
    assert (run.is_good, boots) == (False, 1)
    assert [(outcome.name, outcome.passed, outcome.why) for outcome in run.outcomes] == [
        ("test_one[a]", True, ""),
        ("test_two", False, "assert 1 == 2"),
        ("test_three", False, "failed on setup"),
        ("test_four", False, "no luck"),
    ]


def test_a_guest_that_panics_early_is_tried_once_more_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said, boots = boot(tmp_path, monkeypatch, PANICS, finishes(tmp_path, GOOD))
    assert (run.is_good, boots) == (True, 2)
    assert "the guest stopped: [    1.0] Kernel panic - not syncing: Attempted to kill init!; trying once more" in said


def test_a_guest_that_panics_twice_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, boots = boot(tmp_path, monkeypatch, PANICS, PANICS, "exit 0")
    assert (run.is_good, run.outcomes, boots) == (False, [], 2)
    assert "Kernel panic" in run.why
    assert "Kernel panic" in run.log.read_text()


def test_a_guest_that_breaks_off_in_its_tests_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, boots = boot(tmp_path, monkeypatch, BREAKS_OFF, finishes(tmp_path, GOOD))
    assert (run.is_good, boots) == (False, 1)
    assert "soft lockup" in run.why
    assert [(outcome.file, outcome.name, outcome.passed) for outcome in run.outcomes] == [("test_argv", "test_one", True)]


def test_what_qemu_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, _ = boot(tmp_path, monkeypatch, *["echo 'no such disk' >&2; exit 1"] * 2)
    assert run.why == "QEMU ended with 1: no such disk"


def test_a_guest_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LIMIT_SECONDS", 0.1)
    run, _, _ = boot(tmp_path, monkeypatch, *["exec sleep 1000"] * 2)
    assert "had not ended" in run.why


def test_an_unknown_kernel_is_refused_with_those_that_there_are() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.vm", "4.19"], cwd=REPO, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "vm-test: there is no virtual machine '4.19', but 5.10, 6.1, 6.12, sid, podman\n")
    assert chosen([]) == list(GUESTS)
    assert chosen(["podman"]) == [PODMAN]


def collected(*words: str) -> list[str]:
    """Return the tests of the kernel that pytest finds, as FILE::TEST."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *words, "tests/kernel"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False, timeout=60)
    return [line.rpartition("/")[2] for line in done.stdout.splitlines() if "::" in line]


def test_what_is_left_out_is_there_and_is_left_out() -> None:
    everything, chosen = collected(), collected("-p", "tests.vm.selection")
    for pattern in LEFT_OUT | LASTS_TOO_LONG:
        named = pattern if "::" in pattern else f"{pattern}::*"
        assert fnmatch.filter(everything, named), pattern
        assert not fnmatch.filter(chosen, named), pattern
    assert "test_tcp_accept.py::test_each_accept_is_a_row_of_the_worker_that_took_it" in chosen
    assert set(chosen) < set(everything)


def test_a_run_of_some_tests_changes_what_is_known_of_these_alone(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    old = as_json("6.1.0-1", "bookworm", 9, read_outcomes(tmp_path / "junit.xml"))
    (tmp_path / "junit.xml").write_text(JUNIT.replace('<failure message="assert 1 == 2&#10;more">text</failure>', ""))
    new = as_json("6.1.0-1", "bookworm", 2, read_outcomes(tmp_path / "junit.xml")[:2])
    known = merged(old, new)
    assert known["tests"]["test_argv"] == {"passed": ["test_one[a]", "test_two"], "failed": []}
    assert known["tests"]["test_tcp_who"] == old["tests"]["test_tcp_who"]
    assert merged(old, {**new, "kernel": "6.1.0-2"})["tests"] == new["tests"]


def test_the_readme_has_the_table_of_the_last_run_of_each_guest() -> None:
    results = known()
    assert set(results) <= {guest.name for guest in (*GUESTS, PODMAN)}
    assert README.read_text() == fresh(README.read_text(), results)


def test_what_a_test_says_in_a_guest_comes_out_of_it(tmp_path: Path) -> None:
    said = '<properties><property name="witness" value="[&quot;6.1&quot;]"/></properties>'
    (tmp_path / "junit.xml").write_text(GOOD.replace('time="1"/>', f'time="1">{said}</testcase>'))
    assert [outcome.said for outcome in read_outcomes(tmp_path / "junit.xml")] == [{"witness": '["6.1"]'}]
    (tmp_path / "junit.xml").write_text(GOOD)
    assert [outcome.said for outcome in read_outcomes(tmp_path / "junit.xml")] == [{}]


def test_a_long_run_changes_nothing_that_is_known_of_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESULTS", "README"):
        monkeypatch.setattr(results, name, tmp_path / name)
        (tmp_path / name).write_text("as it was")
    (tmp_path / "junit.xml").write_text(GOOD.replace("test_argv", "full"))
    results.keep("6.1", as_json("6.1.0-2", "bookworm", 9, read_outcomes(tmp_path / "junit.xml")), is_all=False)
    assert {(tmp_path / name).read_text() for name in ("RESULTS", "README")} == {"as it was"}


def test_the_table_says_how_many_of_a_file_passed_on_which_kernel(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    outcomes = read_outcomes(tmp_path / "junit.xml")
    results = {"6.1": as_json("6.1.0-1", "bookworm", 9.7, outcomes), "5.10": as_json("5.10.0-1", "bookworm", 1, outcomes[:1])}
    results["podman"] = as_json("6.1.0-1", "bookworm", 1, outcomes[:1])
    assert results["6.1"]["tests"]["test_tcp_who"] == {"passed": [], "failed": ["test_four", "test_three"]}
    assert table(results).splitlines() == [
        "| tests passed | Linux 5.10.0-1 | Linux 6.1.0-1 | Linux 6.1.0-1 |",
        "| --- | --- | --- | --- |",
        "| programs of Debian | bookworm | bookworm | bookworm, podman |",
        "| argv | 1 | 1 of 2 | 1 |",
        "| tcp who |  | 0 of 2 |  |",
        "| **all** | **1** | **1 of 4** | **1** |",
    ]
