"""The plugin that keeps kernel tests from being skipped unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPO

SKIPS_ITSELF = "import pytest\ndef test_one(): pytest.skip('no luck')\n"
SKIPS_ITS_FILE = "import pytest\npytest.skip('no module', allow_module_level=True)\n"
PASSES = "import pytest\n@pytest.mark.kernel\ndef test_one(): pass\n"
IS_EXPECTED_TO_FAIL = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\n"

# What the machine can do is not the question here, so the plugin is told that it can.
CAPABLE = "import tests.kernel_gate\ntests.kernel_gate.missing = lambda: None\n"
INCAPABLE = "import tests.kernel_gate\ntests.kernel_gate.missing = lambda: 'needs root'\n"


def run(folder: Path, tests: dict[str, str], machine: str, required: str, *arguments: str) -> tuple[int, str]:
    """Run pytest with the plugin over ``tests`` (text by path) below ``folder``; return its exit code and output."""
    for name, text in tests.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "conftest.py").write_text(machine)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = kernel\naddopts = --strict-markers\n")
    environment = {**os.environ, "PYTHONPATH": str(REPO), "BPFTAPE_REQUIRE_KERNEL": required}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "tests.kernel_gate", "-p", "no:cacheprovider", "--import-mode=importlib", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_kernel_test_is_skipped_with_its_reason_where_it_cannot_run(tmp_path: Path) -> None:
    code, output = run(tmp_path, {"tests/kernel/test_a.py": PASSES.replace("@pytest.mark.kernel", "")}, INCAPABLE, "")
    assert code == 0
    assert "1 skipped" in output
    assert "needs root" in output


@pytest.mark.parametrize("text", [PASSES, SKIPS_ITSELF, SKIPS_ITS_FILE])
def test_the_same_skip_is_a_failure_where_kernel_tests_are_required(tmp_path: Path, text: str) -> None:
    code, output = run(tmp_path, {"tests/kernel/test_a.py": text, "tests/kernel/test_b.py": PASSES}, INCAPABLE, "1")
    assert code != 0
    assert "was skipped: " in output


def test_a_capable_machine_still_may_not_skip(tmp_path: Path) -> None:
    tests = {"tests/kernel/test_a.py": SKIPS_ITSELF, "tests/kernel/test_b.py": PASSES}
    code, output = run(tmp_path, tests, CAPABLE, "1")
    assert code == 1
    assert "this kernel test was skipped: Skipped: no luck" in output
    assert run(tmp_path, tests, CAPABLE, "0")[0] == 0


def test_other_tests_may_skip(tmp_path: Path) -> None:
    code, output = run(tmp_path, {"tests/test_a.py": SKIPS_ITSELF, "tests/test_b.py": PASSES}, CAPABLE, "1")
    assert (code, "1 passed, 1 skipped" in output) == (0, True)


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    code, output = run(tmp_path, {"tests/kernel/test_a.py": IS_EXPECTED_TO_FAIL, "tests/kernel/test_b.py": PASSES}, CAPABLE, "1")
    assert (code, "1 passed, 1 xfailed" in output) == (0, True)


def test_a_run_without_a_kernel_test_fails_where_they_are_required(tmp_path: Path) -> None:
    tests = {"tests/test_a.py": "def test_one(): pass\n"}
    code, output = run(tmp_path, tests, CAPABLE, "1")
    assert (code, "no kernel test passed" in output) == (1, True)
    assert run(tmp_path, tests, CAPABLE, "0")[0] == 0


def test_a_run_of_all_other_tests_needs_no_kernel_test_and_still_knows_what_is_required(tmp_path: Path) -> None:
    tests = {"tests/test_a.py": "from tests.kernel_gate import required\ndef test_one(): assert required()\n", "tests/kernel/test_b.py": PASSES}
    code, output = run(tmp_path, tests, CAPABLE, "1", "-m", "not kernel")
    assert (code, "no kernel test passed" in output) == (0, False), output
    assert run(tmp_path, tests, CAPABLE, "1", "-m", "nothing")[0] != 0


def test_golden_files_are_not_written_in_ci() -> None:
    command = [sys.executable, "-m", "pytest", "--update-golden", "--collect-only", "-q", "tests/test_kernel_gate.py"]
    done = subprocess.run(command, cwd=REPO, env={**os.environ, "CI": "true"}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--update-golden is refused" in done.stderr
