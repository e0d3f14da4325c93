"""The wheel and the source archive: complete, and at work in an environment that has never seen this tree."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from recorder import __version__
from tests.support import REPO, Cli

COMMANDS = {"record", "analyze", "bpftape"}


def files(*patterns: str) -> set[str]:
    """Return the files of the tree that match, by their paths in it."""
    found = {str(path.relative_to(REPO)) for pattern in patterns for path in REPO.glob(pattern) if path.is_file()}
    return {name for name in found if "__pycache__" not in name}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, and the wheel from that one; return their folder."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPO)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (path,) = archives.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"bpftape-{__version__}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Install the wheel alone into a new environment, which borrows only its dependencies; return its commands."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-qq", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, timeout=60)
    # A folder named in a .pth file is searched, but its own .pth files are not read: the editable install does not come along.
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Cli(folder / "bin")


def test_the_wheel_holds_programs_and_reports_inside_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    programs = {f"recorder/{name}" for name in files("bpf/**/*")}
    reports = {f"analyzer/{name}" for name in files("queries/**/*")}
    assert {"recorder/bpf/clone.c", "recorder/bpf/common.h"} <= programs
    assert "analyzer/queries/overview.sql" in reports
    assert names == files("recorder/**/*", "analyzer/**/*") | programs | reports


def test_the_source_archive_holds_what_the_tests_need(archives: Path) -> None:
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    expected = files(
        "fixtures/**/*",
        "tests/**/*",
        "packaging/*",
        "Makefile",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        ".ci/run",
        "pyproject.toml",
    )
    assert any(name.startswith("fixtures/") for name in expected)
    assert expected - names == set()


def test_the_metadata_names_version_licence_and_dependencies(metadata: Message) -> None:
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    required = metadata.get_all("Requires-Dist") or []
    always = [requirement for requirement in required if "extra ==" not in requirement]
    assert {requirement.rstrip("<>=.,0123456789") for requirement in always} == {
        "duckdb",
        "fsspec",
        "numpy",
        "prompt-toolkit",
        "psutil",
        "pyarrow",
        "pygments",
        "pyroute",
        "rich",
        "typer",
    }
    assert any(set(requirement.removeprefix("duckdb").split(",")) == {">=2", "<3"} for requirement in required)
    assert set(metadata.get_all("Provides-Extra") or []) == {"charts", "diff", "perfetto", "share"}


def test_the_wheel_brings_the_three_commands(installed: Cli) -> None:
    present = {path.name for path in installed.scripts.iterdir()}
    assert present >= COMMANDS


def test_the_commands_work_from_anywhere(installed: Cli, tmp_path: Path) -> None:
    tracers = installed("record", "--list-tracers", cwd=tmp_path)
    assert (tracers.returncode, "clone" in tracers.stdout) == (0, True), tracers.stderr
    reports = installed("analyze", "--list", cwd=tmp_path)
    assert (reports.returncode, "overview" in reports.stdout) == (0, True), reports.stderr
    verbs = installed("bpftape", "--help", cwd=tmp_path)
    assert (verbs.returncode, "doctor" in verbs.stdout) == (0, True), verbs.stderr


def test_the_installed_commands_use_the_installed_files(installed: Cli, tmp_path: Path) -> None:
    code = "import recorder.compiler as compiler; print(compiler.source_folder())"
    folder = installed("python", "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(folder).is_relative_to(installed.scripts.parent)
    assert (Path(folder) / "clone.c").is_file()


@pytest.mark.kernel
def test_the_installed_recorder_records_and_the_installed_analyzer_reads_it(installed: Cli, tmp_path: Path) -> None:
    recording = tmp_path / "one.bpftape"
    recorded = installed("record", "--output", recording, "--", "/bin/true", cwd=tmp_path)
    assert recorded.returncode == 0, recorded.stderr
    query = "SELECT count(*) AS n FROM exec WHERE filename = '/bin/true'"
    analyzed = installed("analyze", "--sql", query, recording, "--format", "csv", cwd=tmp_path)
    assert analyzed.returncode == 0, analyzed.stderr
    assert analyzed.stdout.split() == ["n", "1"]
