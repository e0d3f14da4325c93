"""The functions that make columns of the tcp tracer's records, and how it is built for a kernel."""

from __future__ import annotations

import platform
from ipaddress import ip_address
from typing import Any, cast

import pytest

from recorder.btf import Btf
from recorder.errors import RecorderError
from recorder.tracers import all_tracers
from recorder.tracers import tcp as tracer
from tests.recorder.derived import derived_columns

V4 = ip_address("::ffff:10.0.0.1").packed
LOCAL = ip_address("fe80::1").packed
UNKNOWN = bytes(16)


def columns(table: str, *rows: dict[str, Any]) -> dict[str, list[Any]]:
    ends = {"saddr": V4, "daddr": V4}
    return derived_columns("tcp", table, [ends | row for row in rows])


def test_an_outcome_has_its_word_and_its_errno() -> None:
    found = columns(
        "tcp_connect",
        {"outcome": 1, "errno": 0},
        {"outcome": 2, "errno": 111},
        {"outcome": 2, "errno": 0},
        {"outcome": 3, "errno": 0},
        {"outcome": 4, "errno": 0},
    )
    assert found["outcome"] == ["connected", "failed", "failed", "closed", "pending"]
    assert found["errno"] == [0, 111, None, None, None], "0 is success and nothing else"


NUMBERS = {"tcp_connect": {"outcome": 1, "errno": 0}, "tcp_accept": {}, "tcp_close": {"direction": 0}, "tcp_socket": {"direction": 0, "state": 1}}


@pytest.mark.parametrize("table", NUMBERS)
def test_scopes_are_those_of_each_end(table: str) -> None:
    ends: tuple[dict[str, Any], ...] = ({}, {"saddr": LOCAL}, {"daddr": UNKNOWN})
    found = columns(table, *(NUMBERS[table] | end for end in ends))
    assert found["saddr_scope"] == ["private", "link_local", "private"]
    assert found["daddr_scope"] == ["private", "private", None]


def test_directions_and_states_have_their_words() -> None:
    # The numbers are those of enum { TCP_ESTABLISHED = 1, ... } of net/tcp_states.h.
    assert columns("tcp_close", *({"direction": number} for number in range(3)))["direction"] == [None, "outbound", "inbound"]
    states = columns("tcp_socket", *({"direction": 0, "state": number} for number in range(1, 13)))["state"]
    assert states == [
        *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
        *("close", "close_wait", "last_ack", "listen", "closing", "new_syn_recv"),
    ]


@pytest.mark.parametrize("table", ["tcp_close", "tcp_socket"])
def test_zeros_are_values_of_a_process_that_is_known(table: str) -> None:
    owner = {"ppid": 0, "uid": 0, "pid_ns_level": 0, "direction": 0} | ({"state": 1} if table == "tcp_socket" else {})
    found = columns(table, owner | {"pid": 1}, owner | {"pid": 0}, owner | {"pid": 7, "ppid": 1, "uid": 2**32 - 1, "pid_ns_level": 2})
    assert found["ppid"] == [0, None, 1]
    assert found["uid"] == [0, None, -1]
    assert found["pid_ns_level"] == [0, None, 2]


class Kernel:
    """Stands for a kernel's BTF: the enumerators and typedefs that it has."""

    def __init__(self, **known: int) -> None:
        self._known = known

    def enumerator(self, enum: str, name: str) -> int | None:
        return self._known.get(f"{enum}__{name}")

    def bit(self, struct: str, member: str) -> int | None:
        return self._known.get(f"{struct}__{member}")

    def typedef(self, name: str) -> int | None:
        return self._known.get(name)


def kernel(**known: int) -> Btf:
    return cast("Btf", Kernel(**known))


TCP = {"sock_flags__SOCK_DONE": 5, "tcp_sock__syn_data": 8 * 1916 + 3}
HELPER = {"bpf_func_id__BPF_FUNC_task_pt_regs": 175}


@pytest.mark.parametrize(
    ("machine", "known", "flags"),
    [
        ("x86_64", HELPER, ["-DHAS_TASK_PT_REGS", "-DNR_connect=42"]),
        ("aarch64", HELPER, ["-DHAS_TASK_PT_REGS", "-DNR_connect=203"]),
        ("riscv64", HELPER, []),
        ("x86_64", {}, []),
    ],
)
def test_the_arguments_of_connect_are_noted_at_its_entry_only_where_they_cannot_be_read_later(
    machine: str, known: dict[str, int], flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    btf = kernel(**TCP, **known)
    tcp = all_tracers()["tcp"]
    assert tcp.flags(btf) == ["-DSOCK_DONE=5", "-DSYN_DATA_BYTE=1916", "-DSYN_DATA_BIT=3", *flags]
    wanted = {probe.hook for probe in tcp.probes if probe.when(btf)}
    assert ("syscalls:sys_enter_connect" in wanted) is not bool(flags)
    assert {"inet_sock_set_state", "syscalls:sys_exit_connect"} <= wanted


@pytest.mark.parametrize("missing", TCP)
def test_a_kernel_whose_sockets_are_not_known_is_refused(missing: str) -> None:
    with pytest.raises(RecorderError, match="not as the tracer knows them"):
        tracer._flags(kernel(**{name: value for name, value in TCP.items() if name != missing}))


def test_all_hooks_of_events_have_a_stand_in_where_tasks_give_way_and_the_one_that_soft_interrupts_come_to_has_one_everywhere() -> None:
    probes = [probe for tracer in all_tracers().values() for probe in tracer.probes]
    of_events = {probe.hook for probe in probes if "iterator" not in probe.kind} - {"syscalls:sys_enter_connect"}
    for btf, hooks in ((kernel(**TCP), {"inet_sock_set_state"}), (kernel(**TCP, class_srcu_fast_notrace_t=9), of_events)):
        wanted = [probe for probe in probes if probe.when(btf)]
        assert {probe.hook for probe in wanted if probe.is_stand_in} == hooks
        assert len({(str(probe), probe.tables) for probe in wanted}) == len(wanted)


def test_a_connect_whose_begin_was_left_out_counts_as_lost_where_that_can_be() -> None:
    for btf, tables in ((kernel(**TCP), set()), (kernel(**TCP, class_srcu_fast_notrace_t=9), {"tcp_connect"})):
        (stand_in,) = (probe for probe in all_tracers()["tcp"].probes if probe.function == "stand_in_inet_sock_set_state")
        assert {table for table in stand_in.tables if stand_in.may_lose(table, btf)} == tables
