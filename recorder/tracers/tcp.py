"""The tcp tracer: connects and how they went, accepts, ends, and the sockets that were there before."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from recorder.errors import Exit, RecorderError
from recorder.tracers import Probe, Tracer, gives_way, with_stand_in

if TYPE_CHECKING:
    import pyarrow as pa

    from recorder.btf import Btf
    from recorder.decode import Block, Derive

# By the values in bpf/tcp.c; 0 is NULL.
_OUTCOMES = (None, "connected", "failed", "closed", "pending")
_DIRECTIONS = (None, "outbound", "inbound")
# net/tcp_states.h
_STATES = (
    *(None, "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing", "new_syn_recv"),
)
_CONNECTED = 1

# Numbers of connect(2) in the system call tables of those architectures whose registers bpf/tcp.c knows.
_CONNECT_NUMBERS = {"x86_64": 42, "aarch64": 203}


def has_task_pt_regs(btf: Btf) -> bool:
    """Say whether a program can read the arguments of the system call that its task is in, so that nothing must note them at its entry."""
    return btf.enumerator("bpf_func_id", "BPF_FUNC_task_pt_regs") is not None and platform.machine() in _CONNECT_NUMBERS


def _flags(btf: Btf) -> Sequence[str]:
    done = btf.enumerator("sock_flags", "SOCK_DONE")
    syn_data = btf.bit("tcp_sock", "syn_data")
    if done is None or syn_data is None:
        raise RecorderError("this kernel's TCP sockets are not as the tracer knows them (no SOCK_DONE, or no tcp_sock.syn_data)", code=Exit.BPF)
    flags = [f"-DSOCK_DONE={done}", f"-DSYN_DATA_BYTE={syn_data // 8}", f"-DSYN_DATA_BIT={syn_data % 8}"]
    if has_task_pt_regs(btf):
        flags += ["-DHAS_TASK_PT_REGS", f"-DNR_connect={_CONNECT_NUMBERS[platform.machine()]}"]
    return flags


def _connect_errno(block: Block) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    error = block["errno"].astype(np.int32)
    return pa.array(error, mask=(error == 0) & (block["outcome"] != _CONNECTED))


def _of_owner(field: str) -> Callable[[Block], pa.Array]:
    """Return a function that makes a column of ``field``, NULL where there is no process. 0 is a value of it."""

    def derive(block: Block) -> pa.Array:
        import numpy as np
        import pyarrow as pa

        return pa.array(block[field].astype(np.int32), mask=block["pid"] == 0)

    return derive


def _begins(btf: Btf) -> tuple[str, ...]:
    """Return what may be lost where both programs are left out of a change of state: ends are found and counted by tcp.c, but begins are not."""
    return ("tcp_connect",) if gives_way(btf) else ()


_OWNER: Mapping[str, Derive] = {name: _of_owner(name) for name in ("ppid", "uid", "pid_ns_level")}


def _tables(_argv: bool) -> Mapping[str, Mapping[str, Derive]]:
    from recorder.decode import Coded, numbered, scope

    direction = Coded("direction", numbered(_DIRECTIONS))
    scopes = {"saddr_scope": Coded("saddr", scope), "daddr_scope": Coded("daddr", scope)}
    return {
        "tcp_connect": {**scopes, "outcome": Coded("outcome", numbered(_OUTCOMES)), "errno": _connect_errno},
        "tcp_accept": scopes,
        "tcp_close": {**_OWNER, **scopes, "direction": direction},
        "tcp_socket": {**_OWNER, **scopes, "direction": direction, "state": Coded("state", numbered(_STATES))},
    }


_TABLES = ("tcp_connect", "tcp_accept", "tcp_close", "tcp_socket")

TRACER = Tracer(
    doc="TCP connections: connects and how they went, accepts, ends; and the sockets that were there before",
    probes=(
        *with_stand_in(
            Probe("raw_tracepoint", "inet_sock_set_state", "on_inet_sock_set_state", _TABLES, lossy=lambda _: ()), lambda _: True, _begins
        ),
        Probe("tracepoint", "syscalls:sys_enter_connect", "on_sys_enter_connect", ("tcp_connect",), when=lambda btf: not has_task_pt_regs(btf)),
        *with_stand_in(Probe("tracepoint", "syscalls:sys_exit_connect", "on_sys_exit_connect", ("tcp_connect",))),
        *with_stand_in(Probe("tracepoint", "syscalls:sys_exit_accept", "on_sys_exit_accept", ("tcp_accept",))),
        *with_stand_in(Probe("tracepoint", "syscalls:sys_exit_accept4", "on_sys_exit_accept", ("tcp_accept",))),
        Probe("iterator", "task_file", "bpf_iter__task_file", ("tcp_socket",)),
        Probe("iterator", "tcp", "bpf_iter__tcp", ("tcp_socket",), in_each_net_ns=True),
        Probe("map_iterator", "sockets", "bpf_iter__bpf_map_elem", ("tcp_connect",)),
    ),
    tables=_tables,
    hot=frozenset({"tcp_connect", "tcp_accept", "tcp_close", "tcp_socket"}),
    flags=_flags,
)
