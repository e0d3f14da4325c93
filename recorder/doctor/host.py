"""What can be seen of the host without any privilege."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from recorder import privilege
from recorder.btf import VMLINUX, Btf
from recorder.console import size
from recorder.doctor.check import Check, Status
from recorder.errors import Exit, RecorderError
from recorder.mounts import mounts

PROC = Path("/proc")
SYS = Path("/sys")

# PROC_USER_INIT_INO of linux/proc_ns.h: the same on every host.
INITIAL_USER_NAMESPACE = 0xEFFFFFFD


def kernel() -> Iterator[Check]:
    """Say which kernel this is; nothing follows from its version, features are looked for one by one."""
    uname = os.uname()
    yield Check("kernel", Status.OK, f"{uname.sysname} {uname.release} {uname.machine}")


def read_btf() -> tuple[Check, Btf | None]:
    """Read the kernel's description of its types, from which every offset comes."""
    try:
        btf = Btf.of_running_kernel()
    except RecorderError as error:
        fix = f"boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of all large distributions are; in a container, let it see {VMLINUX}"
        return Check("BTF", Status.MISSING, error.message, fix, Exit.BPF), None
    return Check("BTF", Status.OK, f"{VMLINUX}, {size(VMLINUX.stat().st_size)}"), btf


def in_initial_user_namespace() -> bool:
    """Say whether capabilities here are those that the kernel asks for; on a host without user namespaces they are."""
    try:
        return (PROC / "self/ns/user").stat().st_ino == INITIAL_USER_NAMESPACE
    except FileNotFoundError:
        return True


def lacks_privilege() -> bool:
    """Say whether privileged checks cannot be made."""
    try:
        able = in_initial_user_namespace() and not privilege.missing()
    except (OSError, StopIteration):  # no /proc, or one without capabilities
        able = os.geteuid() == 0
    return not able


def capabilities(btf: Btf | None) -> Iterator[Check]:
    """Look which capabilities this process has, and say what each is for."""
    have = privilege.effective()
    own = in_initial_user_namespace()
    for name, purpose in privilege.PURPOSES.items():
        required = name in ("CAP_BPF", "CAP_PERFMON")
        if not own:
            text, status = f"in force in this user namespace only, and it takes the host's to {purpose}", Status.MISSING
        elif name in have:
            text, status = f"in force, to {purpose}", Status.OK
        elif (other := privilege.STAND_INS.get(name)) in have:
            text, status = f"{other} stands for it, to {purpose}", Status.OK
        else:
            text, status = f"not in force; it takes it to {purpose}", Status.MISSING
        fix = _capability_fix(name, own) if status is Status.MISSING else ""
        yield Check(name, status, text, fix, Exit.PERMISSION if required else Exit.OK)
    yield _memory_lock(btf, "CAP_SYS_RESOURCE" in have and own)


def _capability_fix(name: str, own_namespace: bool) -> str:
    if not own_namespace:
        return "run it outside of this user namespace, as the host's root"
    if os.geteuid() != 0:
        return "run it as root: sudo bpftape doctor"
    added = name.removeprefix("CAP_")
    return f"this root was started without it: add it with --cap-add {added} to a container, with CapabilityBoundingSet={name} to a service"


def _memory_lock(btf: Btf | None, have: bool) -> Check:
    name = "CAP_SYS_RESOURCE"
    if have:
        return Check(name, Status.OK, "in force, to go beyond the limit of locked memory")
    if btf is None:
        return Check(name, Status.NOTE, "not in force; not known whether this kernel needs it for BPF memory")
    # Kernels that charge BPF memory to RLIMIT_MEMLOCK keep the sum in this structure; commit 80ee81e0403c (Linux 5.11) removed both.
    if btf.struct("bpf_map_memory") is None:
        return Check(name, Status.OK, "not in force and not needed: this kernel accounts BPF memory by cgroup")
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit == resource.RLIM_INFINITY:
        return Check(name, Status.OK, "not in force and not needed: locked memory is not limited")
    text = f"not in force, and this kernel counts BPF memory as locked memory, of which {size(limit)} are allowed"
    return Check(name, Status.MISSING, text, "as root: ulimit -l unlimited")


def lockdown() -> Iterator[Check]:
    """Look what the kernel forbids even to root."""
    path = SYS / "kernel/security/lockdown"
    try:
        words = path.read_text()
    except FileNotFoundError:
        if mounts("securityfs"):
            yield Check("lockdown", Status.OK, "this kernel has none")
        else:
            fix = "mount -t securityfs securityfs /sys/kernel/security"
            yield Check("lockdown", Status.NOTE, f"not known: no {path}, securityfs is not mounted", fix)
        return
    mode = words.partition("[")[2].partition("]")[0]
    if mode == "confidentiality":
        fix = "boot with lockdown=integrity on the kernel's command line"
        yield Check("lockdown", Status.MISSING, "confidentiality: BPF programs may not read kernel memory, which every tracer does", fix, Exit.BPF)
    elif mode == "integrity":
        yield Check("lockdown", Status.OK, "integrity: BPF programs may not write to user memory, which no tracer does")
    else:
        yield Check("lockdown", Status.OK, mode or f"not known: {words.strip()!r}")


def unprivileged_bpf() -> Iterator[Check]:
    """Look who else may load BPF programs; recording needs privileges in any case."""
    value = (PROC / "sys/kernel/unprivileged_bpf_disabled").read_text().strip()
    meaning = {"0": "every user may load BPF programs", "1": "only privileged users, until the next boot", "2": "only privileged users"}
    fix = "sysctl -w kernel.unprivileged_bpf_disabled=2, which is safer" if value == "0" else ""
    yield Check("unprivileged BPF", Status.NOTE, f"{meaning.get(value, 'not known')} (kernel.unprivileged_bpf_disabled={value})", fix)


def tracefs() -> Iterator[Check]:
    """Look where tracefs is: tracepoints that are not raw ones need it."""
    if found := mounts("tracefs"):
        yield Check("tracefs", Status.OK, f"mounted at {found[0].path}")
        return
    place = SYS / "kernel/tracing"
    if place.is_dir():
        yield Check("tracefs", Status.NOTE, f"not mounted; record mounts it at {place} when it needs it, and leaves it there")
    else:
        yield Check("tracefs", Status.NOTE, f"this kernel has none (no {place}); tracepoints that are not raw ones need it")


def jit() -> Iterator[Check]:
    """Look whether BPF programs are compiled or interpreted."""
    try:
        value = (PROC / "sys/net/core/bpf_jit_enable").read_text().strip()
    except FileNotFoundError:
        yield Check("BPF JIT", Status.NOTE, "not known: this kernel has none, or this is a net namespace of its own")
        return
    if value == "0":
        yield Check("BPF JIT", Status.MISSING, "off: programs are interpreted, which costs the host more", "sysctl -w net.core.bpf_jit_enable=1")
    else:
        yield Check("BPF JIT", Status.OK, f"on (net.core.bpf_jit_enable={value})")


def cgroups() -> Iterator[Check]:
    """Look which cgroup file systems there are, since that decides what cgroup_id means."""
    found = mounts("cgroup", "cgroup2")
    unified = [mount for mount in found if mount.kind == "cgroup2"]
    memory = [mount for mount in found if mount.kind == "cgroup" and "memory" in mount.options]
    if unified and not memory:
        yield Check("cgroups", Status.OK, f"v2 at {unified[0].path}")
    elif memory:
        mode = f"hybrid: v2 at {unified[0].path}, v1's memory controller" if unified else "v1: memory controller"
        yield Check("cgroups", Status.OK, f"{mode} at {memory[0].path}; cgroup_id is the latter's where v2 has only its root")
    else:
        yield Check("cgroups", Status.NOTE, "none is mounted: cgroup_id says little, and --cgroup takes numbers only")


def disk() -> Iterator[Check]:
    """Look whether a recording would have a place in the current folder."""
    from recorder.folder import RESERVE_BYTES

    here = Path.cwd()
    free = shutil.disk_usage(here).free
    if not os.access(here, os.W_OK | os.X_OK):
        yield Check("disk", Status.MISSING, f"{here} may not be written to", "choose another place with: record --output DIR")
    elif free < RESERVE_BYTES:
        yield Check("disk", Status.MISSING, f"{here} is full ({size(free)} free)", "free some space, or record elsewhere with: record --output DIR")
    else:
        yield Check("disk", Status.OK, f"{size(free)} free in {here}")
