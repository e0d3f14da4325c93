"""Pytest plugin: of the kernel's tests, run those that can come out otherwise on another kernel.

A virtual machine without help of the CPU is some ten times slower. What is left out is named here, with the reason; a new file runs until
it is named.
"""

from __future__ import annotations

import pytest

from tests.kernel.container_box import IS_HYBRID, ONLY_HYBRID

SAYS_NOTHING_OF_A_KERNEL = {
    "test_adversity.py": "closed terminals, full devices and commands that do not end are the recorder's own business, above the kernel's tables",
    "test_bad_input.py": "wrong options are refused before the kernel is asked for anything",
    "test_clock_error.py": "one word of adjtimex(2), handed on",
    "test_clock_steps.py": "a clock that is set where the recorder reads it",
    "test_compiler.py": "ends of the compiler's process; that it compiles is shown by every recording",
    "test_disk_full.py": "the writer's business; the kernel only counts, as in test_full_ring.py",
    "test_ending.py": "signals and exit codes; what is left in the kernel is the business of test_left_behind.py",
    "test_failing_disks.py": "the writer's business, as test_disk_full.py is",
    "test_follow.py": "the analyzer's business",
    "test_held_up.py": "what waits in the rings, as in test_full_ring.py",
    "test_merge.py": "the analyzer's business",
    "test_own_tables.py": "the recorder's own clocks and counters, which every other recording here has, too",
    "test_print.py": "how rows are shown, not which there are",
    "test_recover.py": "the folder's business; what is left in the kernel is the business of test_left_behind.py",
    "test_tcp_filters.py": "which rows are wanted; that such programs are accepted is shown by test_filters.py and test_container_filters.py",
    "test_tcp_nginx.py": "the same connects and accepts as in test_tcp_accept.py, made by other programs",
    "test_tcp_print.py": "how rows are shown, not which there are",
    "test_terminal.py": "how a recording looks, not what is in it",
    "test_xdp_drop.py": "windows and sums of drops; the programs run in test_xdp_rules.py, and are attached in test_xdp_left_behind.py",
}
LASTS_TOO_LONG = {
    "test_witness.py": "two recorders, perf and strace at once take up to 20 minutes under emulation; CONTRIBUTING.md has how to run it by itself"
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is named above."""
    left_out = [item for item in items if item.path.name in SAYS_NOTHING_OF_A_KERNEL | LASTS_TOO_LONG or _needs_another_host(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _needs_another_host(item: pytest.Item) -> bool:
    """Say whether a test is about a host with cgroup v1 beside v2, which one of the guests is (guests.py) and the others are not."""
    return not IS_HYBRID and ONLY_HYBRID.mark in item.iter_markers()


class _Reasons:
    """Says why a test failed when it fails: a whole run takes long, and may break off."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the last of what is known of a failure."""
        if report.failed:
            self._terminal.write_line("")
            self._terminal.write_line("\n".join(report.longreprtext.splitlines()[-12:]))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have failures explained at once."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal
    session.config.pluginmanager.register(_Reasons(terminal))
