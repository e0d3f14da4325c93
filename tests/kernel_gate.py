"""Pytest plugin: tests that need root and a kernel with BPF skip with their reason, and never silently where they must run.

Every test under tests/kernel/ is marked ``kernel``; others may carry the mark themselves. With BPFTAPE_REQUIRE_KERNEL=1 each skip
of such a test is a failure, and so is a run in which none of them passed.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest

from recorder.btf import VMLINUX
from recorder.errors import RecorderError
from recorder.libraries import load_bcc

REQUIRED = "BPFTAPE_REQUIRE_KERNEL"


def required() -> bool:
    """Say whether a skipped kernel test is a failure."""
    return os.environ.get(REQUIRED, "0") not in ("", "0")


@cache
def missing() -> str | None:
    """Return why BPF programs cannot be loaded here, or None if they can."""
    if os.geteuid() != 0:
        return "needs root"
    if not VMLINUX.exists():
        return f"needs a kernel with BTF: there is no {VMLINUX}"
    try:
        load_bcc()
    except RecorderError as error:
        return f"needs BCC: {error}"
    return None


def in_kernel_folder(path: Path, config: pytest.Config) -> bool:
    """Say whether ``path`` lies in tests/kernel/."""
    return path.is_relative_to(config.rootpath / "tests" / "kernel")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lies in tests/kernel/."""
    for item in items:
        if in_kernel_folder(item.path, config):
            item.add_marker("kernel")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip kernel tests where they cannot run."""
    if item.get_closest_marker("kernel") and (reason := missing()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a kernel test, whoever asked for it, into a failure where it must run; count those that pass."""
    report = yield
    if item.get_closest_marker("kernel"):
        if report.skipped and required() and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"{REQUIRED} is set, and this kernel test was skipped: {_reason(report.longrepr)}"
        if report.when == "call" and report.passed:
            item.config.stash[PASSED] = item.config.stash.get(PASSED, 0) + 1
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a whole file that skips itself."""
    report = yield
    if report.skipped and required() and in_kernel_folder(collector.path, collector.config):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRED} is set, and this file of kernel tests was skipped: {_reason(report.longrepr)}"
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that had to run kernel tests and ran none."""
    if _needs_one(session.config) and exitstatus == pytest.ExitCode.OK and not session.config.stash.get(PASSED, 0):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why such a run failed."""
    if _needs_one(config) and not config.stash.get(PASSED, 0):
        terminalreporter.write_line(f"{REQUIRED} is set, and no kernel test passed.", red=True)


PASSED = pytest.StashKey[int]()
WITHOUT = "not kernel"
"""The marker expression of a run that is about all other tests, as packaging/test.sh makes it."""


def _needs_one(config: pytest.Config) -> bool:
    return required() and config.option.markexpr != WITHOUT


def _reason(longrepr: object) -> str:
    # Pytest describes a skip as (path, line, "Skipped: why").
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
