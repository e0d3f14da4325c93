"""The checks that need no privilege, on hosts of many kinds: /proc and /sys are folders of the test's own."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from recorder import mounts, privilege
from recorder.btf import Btf
from recorder.doctor import host
from recorder.doctor.check import Check, Status
from recorder.errors import Exit


@dataclass(frozen=True, slots=True)
class Host:
    """A host's /proc and /sys."""

    folder: Path

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def mount(self, *lines: str) -> None:
        """Say what is mounted; each line is ``path kind options``."""
        fields = (line.split() for line in lines)
        self.write("mountinfo", "".join(f"30 27 0:2 / {path} rw,relatime shared:9 - {kind} none {options}\n" for path, kind, options in fields))


@pytest.fixture
def a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(host, "PROC", tmp_path / "proc")
    monkeypatch.setattr(host, "SYS", tmp_path / "sys")
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    made = Host(tmp_path)
    made.mount()
    return made


def only(checks: Callable[[], Iterator[Check]]) -> Check:
    (check,) = checks()
    return check


@pytest.mark.parametrize(
    ("text", "status", "code", "said"),
    [
        ("[none] integrity confidentiality\n", Status.OK, Exit.OK, "none"),
        ("none [integrity] confidentiality\n", Status.OK, Exit.OK, "may not write to user memory"),
        ("none integrity [confidentiality]\n", Status.MISSING, Exit.BPF, "may not read kernel memory"),
    ],
)
def test_lockdown_is_in_the_way_only_when_it_forbids_reading_kernel_memory(a_host: Host, text: str, status: Status, code: Exit, said: str) -> None:
    a_host.write("sys/kernel/security/lockdown", text)
    check = only(host.lockdown)
    assert (check.status, check.code) == (status, code)
    assert said in check.text
    assert bool(check.fix) == (status is Status.MISSING)


def test_lockdown_is_not_known_without_securityfs_and_absent_with_it(a_host: Host) -> None:
    unmounted = only(host.lockdown)
    assert (unmounted.status, unmounted.fix) == (Status.NOTE, "mount -t securityfs securityfs /sys/kernel/security")
    a_host.mount("/sys/kernel/security securityfs rw")
    assert only(host.lockdown) == Check("lockdown", Status.OK, "this kernel has none")


@pytest.mark.parametrize(("value", "said"), [("0", "every user"), ("1", "until the next boot"), ("2", "only privileged users"), ("7", "not known")])
def test_unprivileged_bpf_is_only_noted(a_host: Host, value: str, said: str) -> None:
    a_host.write("proc/sys/kernel/unprivileged_bpf_disabled", value + "\n")
    check = only(host.unprivileged_bpf)
    assert check.status is Status.NOTE
    assert said in check.text
    assert ("sysctl" in check.fix) == (value == "0")


def test_tracefs_is_never_missed(a_host: Host) -> None:
    assert "this kernel has none" in only(host.tracefs).text
    (a_host.folder / "sys/kernel/tracing").mkdir(parents=True)
    unmounted = only(host.tracefs)
    assert (unmounted.status, unmounted.fix) == (Status.NOTE, "")
    assert unmounted.text == f"not mounted; record mounts it at {a_host.folder}/sys/kernel/tracing when it needs it, and leaves it there"
    a_host.mount("/sys/kernel/debug/tracing tracefs rw")
    assert only(host.tracefs) == Check("tracefs", Status.OK, "mounted at /sys/kernel/debug/tracing")


def test_an_interpreted_kernel_is_told_how_to_compile(a_host: Host) -> None:
    assert only(host.jit).status is Status.NOTE
    a_host.write("proc/sys/net/core/bpf_jit_enable", "0\n")
    assert (only(host.jit).status, only(host.jit).fix, only(host.jit).code) == (Status.MISSING, "sysctl -w net.core.bpf_jit_enable=1", Exit.OK)
    a_host.write("proc/sys/net/core/bpf_jit_enable", "2\n")
    assert only(host.jit).status is Status.OK


@pytest.mark.parametrize(
    ("mounted", "status", "said"),
    [
        (["/sys/fs/cgroup cgroup2 rw,nsdelegate"], Status.OK, "v2 at /sys/fs/cgroup"),
        (["/sys/fs/cgroup/memory cgroup rw,memory"], Status.OK, "v1: memory controller at /sys/fs/cgroup/memory"),
        (["/sys/fs/cgroup/memory cgroup rw,memory", "/sys/fs/cgroup/unified cgroup2 rw"], Status.OK, "hybrid: v2 at /sys/fs/cgroup/unified"),
        (["/sys/fs/cgroup/cpu cgroup rw,cpu"], Status.NOTE, "none is mounted"),
    ],
)
def test_the_cgroup_mode_is_told_from_the_mounts(a_host: Host, mounted: list[str], status: Status, said: str) -> None:
    a_host.mount(*mounted)
    check = only(host.cgroups)
    assert check.status is status
    assert check.text.startswith(said)


def by_name(btf: Btf | None = None) -> dict[str, Check]:
    return {check.name: check for check in host.capabilities(btf)}


def test_each_capability_is_told_with_what_it_is_for(a_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (a_host.folder / "proc/self").exists(), "no user namespaces: what is in force counts"
    monkeypatch.setattr(privilege, "effective", lambda: frozenset(privilege.CAPABILITIES))
    assert {check.status for check in by_name().values()} == {Status.OK}
    monkeypatch.setattr(privilege, "effective", lambda: frozenset({"CAP_BPF"}))
    checks = by_name()
    assert checks["CAP_BPF"].status is Status.OK
    assert {name for name, check in checks.items() if check.status is Status.MISSING} == {
        "CAP_PERFMON",
        "CAP_NET_ADMIN",
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
        "CAP_DAC_READ_SEARCH",
    }
    assert {name for name, check in checks.items() if check.code is Exit.PERMISSION} == {"CAP_BPF", "CAP_PERFMON"}
    assert all(check.fix for check in checks.values() if check.status is Status.MISSING)


def test_cap_sys_admin_stands_for_the_two_that_were_split_from_it(a_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_host
    monkeypatch.setattr(privilege, "effective", lambda: frozenset({"CAP_SYS_ADMIN"}))
    assert {by_name()[name].status for name in ("CAP_BPF", "CAP_PERFMON")} == {Status.OK}
    assert not host.lacks_privilege()


def test_the_root_of_a_user_namespace_is_no_root(a_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    a_host.write("proc/self/ns/user", "")  # of another inode than the initial namespace's
    monkeypatch.setattr(privilege, "effective", lambda: frozenset(privilege.CAPABILITIES))
    assert host.lacks_privilege()
    assert by_name()["CAP_BPF"].status is Status.MISSING
    assert "outside of this user namespace" in by_name()["CAP_BPF"].fix


@dataclass(frozen=True, slots=True)
class KernelTypes:
    """Stands for a kernel's BTF: the names of its structures."""

    names: frozenset[str]

    def struct(self, name: str) -> tuple[int, dict[str, int]] | None:
        return (8, {}) if name in self.names else None


OLD = cast("Btf", KernelTypes(frozenset({"bpf_map_memory"})))
NEW = cast("Btf", KernelTypes(frozenset()))


@pytest.mark.parametrize(
    ("btf", "limit", "status", "said"),
    [
        (NEW, 65_536, Status.OK, "accounts BPF memory by cgroup"),
        (OLD, resource.RLIM_INFINITY, Status.OK, "locked memory is not limited"),
        (OLD, 65_536, Status.MISSING, "64.0 KiB are allowed"),
        (None, 65_536, Status.NOTE, "not known"),
    ],
)
def test_cap_sys_resource_is_missed_only_where_bpf_memory_counts_as_locked(
    a_host: Host, monkeypatch: pytest.MonkeyPatch, btf: Btf | None, limit: int, status: Status, said: str
) -> None:
    assert a_host
    monkeypatch.setattr(privilege, "effective", lambda: frozenset({"CAP_BPF", "CAP_PERFMON"}))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    check = by_name(btf)["CAP_SYS_RESOURCE"]
    assert check.status is status
    assert said in check.text


def test_the_disk_is_judged_by_what_a_recording_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    roomy = only(host.disk)
    assert roomy.status is Status.OK
    assert str(tmp_path) in roomy.text
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 4_096) if path == tmp_path else None)
    full = only(host.disk)
    assert (full.status, full.text) == (Status.MISSING, f"{tmp_path} is full (4.0 KiB free)")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # noqa: ARG005
    assert "may not be written to" in only(host.disk).text
