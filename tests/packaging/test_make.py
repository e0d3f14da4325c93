"""The targets of the Makefile, as a user types them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import REPO, Cli

INSTALL = REPO / "packaging" / "install.sh"


def run(*command: str | Path, cwd: Path = REPO, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "PREFIX", "DESTDIR")}
    command_line = [str(part) for part in command]
    return subprocess.run(command_line, cwd=cwd, env={**environment, **(env or {})}, capture_output=True, text=True, check=False, timeout=300)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def without_packages() -> dict[str, str]:
    """Return an environment in which pip finds nothing to install."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def test_plain_make_lists_every_target() -> None:
    text = (REPO / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    assert targets >= {"setup", "demo", "test", "test-install", "witness", "lint", "bench", "install", "uninstall"}
    listed = run("make", "--no-print-directory").stdout
    assert {line.split()[1] for line in listed.splitlines()} == targets


def test_setup_makes_an_isolated_environment_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "*.bpftape", "tests")
    shutil.copytree(REPO, clone, ignore=skipped)
    made = run("make", "setup", cwd=clone)
    assert made.returncode == 0, made.stderr
    assert "include-system-site-packages = false" in (clone / ".venv" / "pyvenv.cfg").read_text()
    listed = Cli(clone / ".venv" / "bin")("analyze", "--list", cwd=tmp_path)
    assert (listed.returncode, "overview" in listed.stdout) == (0, True), listed.stderr
    # What is up to date is not touched: with nothing to install from, a second run could not even try.
    again = run("make", "--no-print-directory", "setup", cwd=clone, env=without_packages())
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_setup_says_which_python_it_needs() -> None:
    done = run("make", "setup", env={"PYTHON": "/bin/false"})
    assert done.returncode != 0
    assert "PYTHON=/bin/false is not a Python 3.11 or newer" in done.stderr


def test_install_and_uninstall_leave_nothing_behind(tmp_path: Path) -> None:
    prefix = tmp_path / "opt" / "bpftape"
    installed = run("make", "install", f"PREFIX={prefix}")
    assert installed.returncode == 0, installed.stderr
    assert {path.name for path in (prefix / "bin").iterdir()} == {"record", "analyze", "bpftape"}
    outside = {path for path in prefix.rglob("*") if not path.is_dir() and not path.is_relative_to(prefix / "lib")}
    assert {"share/man/man1/bpftape-verify.1", "share/zsh/site-functions/_record"} <= {str(path.relative_to(prefix)) for path in outside}
    assert {path for path in outside if not path.is_symlink() or not path.resolve(strict=True).is_relative_to(prefix / "lib")} == set()
    # As sudo does: another folder, and nothing of the environment of the one who installed.
    for command in (["analyze", "--list"], ["record", "--list-tracers"], ["bpftape", "--help"]):
        done = run("/usr/bin/env", "-i", prefix / "bin" / command[0], *command[1:], cwd=Path("/"))
        assert done.returncode == 0, done.stderr
        assert done.stdout

    failed = run(INSTALL, "install", env={**without_packages(), "PREFIX": str(prefix)})
    assert failed.returncode != 0
    assert "everything is as it was before" in failed.stderr
    assert run(prefix / "bin" / "analyze", "--list", cwd=tmp_path).returncode == 0
    assert {path for path in outside if not path.resolve(strict=True).is_file()} == set()

    # What others put in the place of ours, or beside it, is theirs.
    (prefix / "bin" / "other").write_text("not ours")
    (prefix / "share/man/man1/record.1").unlink()
    (prefix / "share/man/man1/record.1").write_text("not ours")
    removed = run("make", "uninstall", f"PREFIX={prefix}")
    assert removed.returncode == 0, removed.stderr
    assert tree(prefix) == {"bin", "bin/other", "share", "share/man", "share/man/man1", "share/man/man1/record.1"}


def test_a_staged_installation_works_where_it_ends_up(tmp_path: Path) -> None:
    stage, prefix = tmp_path / "stage", tmp_path / "usr"
    installed = run("make", "install", f"PREFIX={prefix}", f"DESTDIR={stage}")
    assert installed.returncode == 0, installed.stderr
    assert not prefix.exists()
    (stage / prefix.relative_to("/")).rename(prefix)
    done = run(prefix / "bin" / "analyze", "--list", cwd=tmp_path)
    assert (done.returncode, "overview" in done.stdout) == (0, True), done.stderr


def test_an_installation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    done = run(INSTALL, "install", env={**without_packages(), "PREFIX": str(tmp_path / "opt")})
    assert done.returncode != 0
    assert tree(tmp_path) == set()


@pytest.mark.parametrize("foreign", ["record", "analyze", "bpftape"])
def test_a_foreign_command_is_not_overwritten(foreign: str, tmp_path: Path) -> None:
    theirs = tmp_path / "bin" / foreign
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/sh\n")
    done = run(INSTALL, "install", env={"PREFIX": str(tmp_path)})
    assert done.returncode == 73
    assert f"{theirs} is there already" in done.stderr
    assert tree(tmp_path) == {"bin", f"bin/{foreign}"}
    assert theirs.read_text() == "#!/bin/sh\n"


def test_a_foreign_page_is_not_overwritten(tmp_path: Path) -> None:
    theirs = tmp_path / "share/man/man1/bpftape-verify.1"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("not ours")
    refused = run(INSTALL, "install", env={"PREFIX": str(tmp_path)})
    assert refused.returncode == 73
    assert f"{theirs} is there already" in refused.stderr
    assert tree(tmp_path) == {"share", "share/man", "share/man/man1", "share/man/man1/bpftape-verify.1"}
    assert theirs.read_text() == "not ours"


def test_uninstall_without_an_installation_says_so(tmp_path: Path) -> None:
    done = run(INSTALL, "uninstall", env={"PREFIX": str(tmp_path)})
    assert (done.returncode, "there is no installation in" in done.stderr) == (1, True)


def test_a_relative_prefix_is_refused() -> None:
    done = run(INSTALL, "install", env={"PREFIX": "opt"})
    assert (done.returncode, "must be an absolute path" in done.stderr) == (2, True)
