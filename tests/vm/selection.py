"""Pytest plugin: of the kernel's tests, run those that can come out otherwise on another kernel.

A virtual machine without help of the CPU is some ten times slower. What is left out is named here, with the reason; a new file runs until
it is named.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from tests.kernel.container_box import IS_HYBRID, ONLY_HYBRID
from tests.kernel.net import HAS_MPTCP, ONLY_MPTCP

LEFT_OUT = {
    "test_adversity.py": "closed terminals, full devices and commands that do not end are the recorder's own business, above the kernel's tables",
    "test_bad_input.py": "wrong options are refused before the kernel is asked for anything",
    "test_being_written.py": "the analyzer's business",
    "test_clock_error.py": "one word of adjtimex(2), handed on",
    "test_clock_steps.py::*as_it_is_read*": "a clock that is set where the recorder reads it; on a machine of one's own it is the machine's",
    "test_compiler.py": "ends of the compiler's process; that it compiles is shown by every recording",
    "test_container_filters.py::*all?": "the same program as for one container",
    "test_container_filters.py::*and a name?": "filters that must all hold are those of test_filters.py",
    "test_container_filters.py::*host name?": "the same program as for a beginning of an id",
    "test_container_filters.py::*two?": "the same program as for one container",
    "test_container_filters.py::test_a_beginning_of_two_ids_*": "refused before anything is loaded",
    "test_container_filters.py::test_a_container_and_a_name_*": "filters that must all hold are those of test_filters.py",
    "test_container_filters.py::test_a_name_that_is_none_*": "refused before anything is loaded",
    "test_container_filters.py::test_filters_by_process_*": "which rows are wanted, of programs that test_filters.py has",
    "test_container_filters.py::test_the_recording_says_*": "what is written down of the options",
    "test_container_filters.py::test_what_runs_in_*": "the same program as for one container",
    "test_containers.py::test_a_host_name_is_printed_*": "how rows are shown, not which there are",
    "test_containers.py::test_hundreds_at_once_*": "how fast the recorder is, and under emulation it is not",
    "test_containers.py::test_more_than_the_ring_holds_*": "as for sockets, in test_tcp_sockets.py",
    "test_containers.py::test_nor_does_analyze_*": "how rows are shown, not which there are",
    "test_disk_full.py": "the writer's business; the kernel only counts, as in test_tcp_lost.py",
    "test_doctor.py::test_a_broken_bcc_*": "what the doctor says of a module that it cannot import",
    "test_doctor.py::test_another_user_*": "what the doctor says where it may not look",
    "test_doctor.py::test_root_of_a_user_namespace_*": "what the doctor says where it may not look",
    "test_doctor.py::test_what_needs_tracefs_*": "what the doctor says where tracefs is not mounted; test_tracefs.py mounts it",
    "test_doctor.py::test_without_*": "what the doctor says of a host without these files",
    "test_ending.py": "signals and exit codes; what is left in the kernel is the business of test_left_behind.py",
    "test_failing_disks.py": "the writer's business, as test_disk_full.py is",
    "test_filters.py::test_comm_*": "test_options_must_all_hold has comm, too",
    "test_filters.py::test_follow_children_does_not_*": "the same program as for the test before it",
    "test_filters.py::test_pid_*": "test_options_must_all_hold has pid, too",
    "test_filters.py::test_the_end_of_a_process_*": "test_options_must_all_hold has pid, too",
    "test_filters.py::test_uid_*": "test_options_must_all_hold has uid, too",
    "test_follow.py": "the analyzer's business",
    "test_full_ring.py": "rings are filled by test_tcp_lost.py, too",
    "test_held_up.py": "what waits in the rings, as in test_tcp_lost.py",
    "test_kills.py": "moments of the recorder's; what is left in the kernel is the business of test_left_behind.py",
    "test_left_behind.py::*SIGINT*": "ends with the process, as at SIGKILL",
    "test_left_behind.py::*SIGTERM*": "ends with the process, as at SIGKILL",
    "test_left_behind.py::test_a_clean_end_*": "the folder's business",
    "test_left_behind.py::test_what_was_closed_*": "the folder's business",
    "test_merge.py": "the analyzer's business",
    "test_notes.py": "what a list in a map holds; that programs use it is shown by every recording",
    "test_own_tables.py": "the recorder's own clocks and counters, which every other recording here has, too",
    "test_pid_reuse.py": "that a pid comes again is the business of who reads a recording",
    "test_print.py": "how rows are shown, not which there are",
    "test_privileges.py::test_a_recording_for_the_user_behind_sudo_*": "whose the files are",
    "test_privileges.py::test_drops_that_are_to_begin_later_*": "when the recorder gives up what it does not need any more",
    "test_privileges.py::test_the_command_has_*": "what is handed on to the command",
    "test_privileges.py::test_what_a_missing_capability_costs_*": "what is said before the kernel is asked",
    "test_privileges.py::test_without_the_two_*": "what is said before the kernel is asked",
    "test_recover.py": "the folder's business; what is left in the kernel is the business of test_left_behind.py",
    "test_stand_ins.py::*where *": "how stand-ins work where the kernel needs none; on the one that does all is as it is",
    "test_tcp_filters.py": "which rows are wanted; that such programs are accepted is shown by test_filters.py and test_container_filters.py",
    "test_tcp_lost.py::test_a_connect_that_is_lost_*": "the same counters as for the test before it",
    "test_tcp_lost.py::test_room_that_is_free_again_*": "the same counters as for the test before it",
    "test_tcp_nginx.py": "the same connects and accepts as in test_tcp_accept.py, made by other programs",
    "test_tcp_print.py": "how rows are shown, not which there are",
    "test_terminal.py": "how a recording looks, not what is in it",
    "test_tracefs.py::test_a_tracer_that_was_asked_for_by_name_*": "what is recorded without tracefs",
    "test_tracefs.py::test_nothing_is_mounted_*": "what is not done",
    "test_tracefs.py::test_where_it_cannot_be_mounted_*": "what is recorded without tracefs; that it can be mounted is shown by the test before it",
    "test_two_recorders.py": "two recorders run in test_tcp_errors.py, too",
    "test_xdp_drop.py": "windows and sums of drops; the programs run in test_xdp_rules.py, and are attached in test_xdp_left_behind.py",
    "test_xdp_left_behind.py::*SIGHUP*": "ends with the process, as at SIGKILL",
    "test_xdp_left_behind.py::*SIGINT*": "ends with the process, as at SIGKILL",
    "test_xdp_left_behind.py::*SIGTERM*": "ends with the process, as at SIGKILL",
    "test_xdp_left_behind.py::test_an_exception_in_mid_run_*": "ends with the process, as at SIGKILL",
    "test_xdp_left_behind.py::test_it_leaves_when_the_recorded_command_*": "ends with the process, as at SIGKILL",
    "test_xdp_left_behind.py::test_it_leaves_when_the_recorder_is_killed_*": "ends with the process, as at SIGKILL",
}
"""By file, or by test, whose name may end in a ``*``: what says nothing of a kernel, or nothing that another one here does not say."""
LASTS_TOO_LONG = {
    "test_privileges.py::test_nobody_records_*": "a user who is not root compiles in the virtual machine itself, which takes a minute",
    "test_witness.py": "make witness KERNEL=6.1 has more than 100,000 events of the same kinds",
}


def _is_left_out(item: pytest.Item) -> bool:
    names = (item.path.name, f"{item.path.name}::{item.name}")
    return any(fnmatchcase(name, pattern) for pattern in LEFT_OUT | LASTS_TOO_LONG for name in names)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is named above."""
    left_out = [item for item in items if _is_left_out(item) or _needs_another_host(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _needs_another_host(item: pytest.Item) -> bool:
    """Say whether a test is about a host with cgroup v1 beside v2, which one of the guests is (guests.py), or about MPTCP, which one has not."""
    marks = [*([] if IS_HYBRID else [ONLY_HYBRID]), *([] if HAS_MPTCP else [ONLY_MPTCP])]
    return any(mark.mark in item.iter_markers() for mark in marks)


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
