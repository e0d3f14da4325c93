"""The doctor on a real kernel: it tries everything, says what it saw, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from recorder import bpf_call
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.doctor import examine
from recorder.tracers import all_tracers
from tests.kernel.bpf_ids import exists, held
from tests.kernel.harness import PATIENCE_SECONDS, eventually
from tests.support import Cli

# BCC takes text, and says in each call that it would rather have bytes.

Found = dict[str, dict[str, Any]]


def doctor(cli: Cli, before: Sequence[str] = (), env: dict[str, str] | None = None) -> tuple[int, str, Found]:
    """Run ``bpftape doctor --json`` behind the words of ``before``; return its exit code, summary, and checks by name."""
    command = [*before, str(cli.path("bpftape")), "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=os.environ | (env or {}), check=False, cwd="/")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode
    return done.returncode, found["summary"], {check["name"]: check for check in found["checks"]}


def test_this_machine_can_record(cli: Cli) -> None:
    code, summary, checks = doctor(cli)
    assert code == 0, checks
    assert summary.startswith("this host can record")
    btf = Btf.of_running_kernel()
    hooks = {f"hook {name}:{probe.name}" for name, tracer in all_tracers().items() for probe in tracer.probes if probe.when(btf)}
    required = {"BTF", "CAP_BPF", "CAP_PERFMON", "BCC", "ring buffer", *hooks}
    assert {name: checks[name]["text"] for name in required if checks[name]["status"] != "ok"} == {}
    assert {name for name, check in checks.items() if "not checked" in check["text"]} == set()


def test_another_user_is_told_that_root_is_missing_and_nothing_else(cli: Cli) -> None:
    nobody = pwd.getpwnam("nobody")
    # One capability stays, to read a clone that lies in a folder of root's own.
    read = "-all,+dac_read_search"
    before = ["setpriv", f"--reuid={nobody.pw_uid}", "--clear-groups", f"--inh-caps={read}", f"--ambient-caps={read}", f"--bounding-set={read}"]
    code, summary, checks = doctor(cli, before)
    assert code == 77
    assert summary == "this process may not record: CAP_BPF, CAP_PERFMON missing. To make all checks: sudo bpftape doctor"
    assert {checks[name]["status"] for name in ("kernel", "BTF", "BCC")} == {"ok"}
    assert {checks[name]["text"] for name in ("ring buffer", "XDP", "BPF run statistics")} == {"not checked: needs root"}
    assert checks["hook clone:task_newtask"]["text"] == "not checked: needs root (raw_tracepoint, which the kernel has)"


def test_root_of_a_user_namespace_is_told_the_same(cli: Cli) -> None:
    code, summary, checks = doctor(cli, ["unshare", "--user", "--map-root-user"])
    assert (code, summary) == (77, "this process may not record: CAP_BPF, CAP_PERFMON missing")
    assert "user namespace" in checks["CAP_BPF"]["text"]


def test_without_btf_bpf_cannot_work(cli: Cli) -> None:
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    code, summary, checks = doctor(cli, hide)
    assert (code, summary) == (70, "this host cannot record: BTF missing")
    assert "CONFIG_DEBUG_INFO_BTF" in checks["BTF"]["fix"]
    assert checks["ring buffer"]["text"] == "not checked: needs BTF"


def test_without_proc_and_sys_every_check_is_still_there(cli: Cli) -> None:
    whole = set(doctor(cli)[2])
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys && mount -t tmpfs none /proc && exec "$@"', "sh"]
    code, _, checks = doctor(cli, hide)
    assert code == 70
    assert whole - set(checks) <= {name for name in whole if name.startswith("CAP_")}
    assert checks["capabilities"]["text"].startswith("not known: ")


def test_what_needs_tracefs_is_tried_where_it_is_not_mounted_and_leaves_no_mount(cli: Cli, tmp_path: Path) -> None:
    after = tmp_path / "mountinfo"
    unmount = f'umount /sys/kernel/tracing 2>/dev/null; "$@"; code=$?; cp /proc/self/mountinfo {after}; exit $code'
    code, _, checks = doctor(cli, ["unshare", "--mount", "sh", "-c", unmount, "sh"])
    assert code == 0
    assert (checks["tracefs"]["status"], checks["tracefs"]["fix"]) == ("note", None)
    assert checks["tracefs"]["text"].startswith("not mounted; record mounts it at /sys/kernel/tracing")
    assert checks["hook tcp:syscalls:sys_exit_connect"]["text"] == "tracepoint, attached and detached"
    assert " - tracefs " not in after.read_text()


def test_what_needs_tracefs_is_missing_where_it_cannot_be_mounted(cli: Cli) -> None:
    unmount = 'umount /sys/kernel/tracing 2>/dev/null; exec setpriv --bounding-set=-sys_admin "$@"'
    code, _, checks = doctor(cli, ["unshare", "--mount", "sh", "-c", unmount, "sh"])
    assert code == 0
    for hook in ("sys_exit_connect", "sys_exit_accept", "sys_exit_accept4"):
        check = checks[f"hook tcp:syscalls:{hook}"]
        assert check["status"] == "missing"
        assert "tracefs is not mounted, and cannot be at /sys/kernel/tracing: Operation not permitted" in check["text"]
        assert check["fix"] == "mount it as the host's root: mount -t tracefs tracefs /sys/kernel/tracing"
    assert checks["hook tcp:inet_sock_set_state"]["status"] == "ok"


@pytest.mark.parametrize(("content", "said"), [("crystals = 1", "is another package"), ("import nothing_of_that_name", "does not load")])
def test_a_broken_bcc_is_the_only_thing_missing(cli: Cli, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "__init__.py").write_text(content + "\n")
    code, summary, checks = doctor(cli, env={"BPFTAPE_BCC": str(tmp_path)})
    assert (code, summary) == (70, "this host cannot record: BCC missing")
    assert said in checks["BCC"]["text"]
    assert "python3-bpfcc" in checks["BCC"]["fix"]
    assert checks["hook clone:task"]["text"] == "not checked: needs BCC (iterator, which the kernel has)"


def descriptors() -> set[str]:
    return {link for entry in Path("/proc/self/fd").iterdir() if (link := _link(entry)) and ("bpf" in link or "net:" in link)}


def _link(entry: Path) -> str | None:
    try:
        return str(entry.readlink())
    except FileNotFoundError:  # the descriptor that this folder is read through
        return None


def net_namespaces() -> Iterator[int]:
    """Yield the net namespace of every task of the host that can be seen."""
    for entry in Path("/proc").glob("[0-9]*/task/[0-9]*/ns/net"):
        try:
            yield entry.stat().st_ino
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue


def test_nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    objects: set[tuple[str, int]] = set()
    namespaces: list[int] = []
    close, attach_xdp = BpfProgram.close, BpfProgram.attach_xdp
    before, opened = held(os.getpid()), descriptors()
    threads, mounts = threading.active_count(), Path("/proc/self/mountinfo").read_text()

    def noting_close(program: BpfProgram) -> None:
        objects.update(held(os.getpid()) - before)
        close(program)

    def noting_attach(program: BpfProgram, function: str, interface: int, mode: str) -> tuple[int, int]:
        namespaces.append(Path("/proc/thread-self/ns/net").stat().st_ino)
        attached = attach_xdp(program, function, interface, mode)
        objects.update(held(os.getpid()) - before)
        return attached

    monkeypatch.setattr(BpfProgram, "close", noting_close)
    monkeypatch.setattr(BpfProgram, "attach_xdp", noting_attach)
    assert "missing" not in {check.status for check in examine() if check.name in ("ring buffer", "XDP")}

    kinds = [kind for kind, _ in objects]
    assert set(kinds) == {"prog_id", "map_id", "link_id"}
    assert kinds.count("prog_id") >= 2 + len([probe for probe in all_tracers()["clone"].probes if not probe.is_stand_in])
    eventually("all BPF objects are gone", lambda: not any(exists(*item) for item in objects))
    assert held(os.getpid()) == before
    assert descriptors() == opened
    (namespace,) = namespaces
    assert namespace != Path("/proc/self/ns/net").stat().st_ino, "it was attached where nobody is"
    assert namespace not in set(net_namespaces())
    assert (threading.active_count(), Path("/proc/self/mountinfo").read_text()) == (threads, mounts)


def test_the_kernels_own_reason_is_said_when_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    attach, attach_typed = BpfProgram.attach_raw_tracepoint, BpfProgram.attach_typed

    def wrong_name(program: BpfProgram, hook: str, function: str) -> int:
        return attach(program, "no_such_tracepoint" if hook == "task_newtask" else hook, function)

    def wrong_type(program: BpfProgram, function: str, type_id: int) -> int:
        return attach_typed(program, function, 1 if function == "on_task_newtask" else type_id)

    # Which of the two is called depends on the kernel.
    monkeypatch.setattr(BpfProgram, "attach_raw_tracepoint", wrong_name)
    monkeypatch.setattr(BpfProgram, "attach_typed", wrong_type)
    checks = {check.name: check for check in examine()}
    refused = checks["hook clone:task_newtask"]
    assert refused.status == "missing"
    assert "No such file or directory" in refused.text or "attach_btf_id 1 is not a typedef" in refused.text
    assert "a recording has no rows in clone" in refused.text
    assert checks["hook clone:sched_process_exec"].status == "ok"


def test_where_xdp_takes_no_link_it_is_missing_and_recording_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf_call, "_XDP_LINK", 36)  # BPF_SK_LOOKUP, which no XDP program can be attached to
    checks = {check.name: check for check in examine()}
    assert checks["XDP"].status == "missing"
    assert "Invalid argument" in checks["XDP"].text
    assert checks["XDP"].code == 0
    assert checks["ring buffer"].status == "ok"
