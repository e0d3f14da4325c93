"""The kernel's types, and all that the recorder asks of them."""

from __future__ import annotations

import re

from recorder.btf import Btf, relocate
from recorder.compiler import source_folder
from tests.fuzz.target import Target
from tests.recorder.btf_blob import kernel

KERNEL_TYPES = (source_folder() / "kernel_types.h").read_text()
STRUCTS = [*re.findall(r"^struct (\w+) \{", KERNEL_TYPES, re.MULTILINE), "outer", "flags", "modified", "inner_t"]


def run(data: bytes) -> None:
    btf = Btf(data)
    relocate(KERNEL_TYPES, btf)
    for name in STRUCTS:
        btf.struct(name)
        btf.bit(name, "low")
    for enum, name in (("cgroup_subsys_id", "memory_cgrp_id"), ("bpf_func_id", "BPF_FUNC_task_pt_regs"), ("sock_flags", "SOCK_DONE")):
        btf.enumerator(enum, name)
    for name in ("sched_process_exit", "task_newtask", "odd"):
        btf.raw_tracepoint_type(name)
        btf.raw_tracepoint_arguments(name)
    btf.function("do_it")


TARGET = Target(run, lambda: [kernel().bytes()], words=(b"\x9f\xeb", b"outer\0", b"memory_cgrp_id\0", b"\x00\x00\x00\x08", b"\x00\x00\x00\x04"))
