"""The whole of the doctor: its order, its verdict, and that nothing makes it fail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import __version__, btf, doctor, libraries, mounts, privilege
from recorder.doctor import as_json, as_text, bpf, host, summary, verdict
from recorder.doctor.check import Check, Status, collect
from recorder.errors import Exit
from recorder.tracers import Probe, Tracer, all_tracers

OK = Check("kernel", Status.OK, "Linux")
NO_BCC = Check("BCC", Status.MISSING, "BCC is not installed", "apt install python3-bpfcc", Exit.BPF)
NO_CAPABILITY = Check("CAP_BPF", Status.MISSING, "not in force", "sudo", Exit.PERMISSION)
NO_JIT = Check("BPF JIT", Status.MISSING, "off", "sysctl")
NOTE = Check("tracefs", Status.NOTE, "not mounted", "mount")


@pytest.mark.parametrize(
    ("checks", "code", "said"),
    [
        ([OK, NOTE], 0, "this host can record"),
        ([OK, NO_JIT], 0, "this host can record; missing, and not needed for that: BPF JIT"),
        ([OK, NO_CAPABILITY, NO_JIT], 77, "this process may not record: CAP_BPF missing"),
        ([NO_BCC, NO_CAPABILITY], 70, "this host cannot record: BCC missing"),
    ],
)
def test_the_verdict_weighs_what_is_missing(checks: list[Check], code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (verdict(checks), summary(checks)) == (code, said)
    assert as_json(checks)["exit_code"] == code
    assert as_json(checks)["summary"] == said


def test_who_is_not_root_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert summary([NO_CAPABILITY]) == "this process may not record: CAP_BPF missing. To make all checks: sudo bpftape doctor"


def test_each_check_is_one_line_with_what_to_do() -> None:
    assert as_text([OK, NO_BCC, NOTE]) == [
        (Status.OK, "ok       kernel   Linux"),
        (Status.MISSING, "missing  BCC      BCC is not installed. Fix: apt install python3-bpfcc"),
        (Status.NOTE, "note     tracefs  not mounted. Optional: mount"),
    ]


def test_json_has_the_same_for_programs() -> None:
    assert as_json([OK, NO_BCC]) == {
        "bpftape": __version__,
        "exit_code": 70,
        "summary": "this host cannot record: BCC missing",
        "checks": [
            {"name": "kernel", "status": "ok", "required": False, "text": "Linux", "fix": None},
            {"name": "BCC", "status": "missing", "required": True, "text": "BCC is not installed", "fix": "apt install python3-bpfcc"},
        ],
    }


def raising(error: Exception) -> Iterator[Check]:
    yield OK
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "/proc/x"), Exit.OK, "not known: [Errno 2] No such file or directory: '/proc/x'"),
        (PermissionError(13, "Permission denied"), Exit.OK, "not checked: needs root"),
        (StopIteration(), Exit.OK, "not known: generator raised StopIteration"),
        (ValueError(), Exit.OK, "not known: ValueError"),
        (ValueError("odd"), Exit.BPF, "the check failed: odd"),
    ],
)
def test_what_a_check_raises_becomes_a_line_behind_those_it_made(error: Exception, code: Exit, line: str) -> None:
    checks = collect("odd", lambda: raising(error), code)
    assert checks[0] == OK
    assert (checks[1].name, checks[1].text) == ("odd", line)
    assert checks[1].status is (Status.MISSING if code else Status.NOTE)


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take /proc, /sys, BTF and BCC away, and the current folder."""
    for module, name in ((host, "PROC"), (host, "SYS"), (mounts, "MOUNTINFO"), (btf, "VMLINUX"), (host, "VMLINUX")):
        monkeypatch.setattr(module, name, tmp_path / "absent")
    monkeypatch.setattr(privilege, "effective", lambda: next(iter(())))
    monkeypatch.setenv("BPFTAPE_BCC", str(tmp_path / "absent"))
    libraries.load_bcc.cache_clear()
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.usefixtures("nothing")
def test_a_system_without_anything_still_gets_every_line() -> None:
    checks = doctor.examine()
    libraries.load_bcc.cache_clear()
    found = {check.name: check for check in checks}
    assert list(found)[:2] == ["kernel", "BTF"]
    assert {name for name, check in found.items() if check.status is Status.OK} == {"kernel"}
    assert {name for name, check in found.items() if check.status is Status.MISSING} == {"BTF", "BCC"}
    assert found["disk"].text.startswith("not known: ")
    assert found["ring buffer"].text.startswith("not checked: needs ")
    assert found["hook clone:task"].text.endswith("BTF and BCC (iterator)")
    assert summary(checks) == "this host cannot record: BTF, BCC missing"
    assert all(check.fix for check in checks if check.status is Status.MISSING)


@pytest.mark.usefixtures("nothing")
def test_every_hook_of_every_tracer_has_a_line() -> None:
    hooks = [check.name for check in doctor.examine() if check.name.startswith("hook ")]
    libraries.load_bcc.cache_clear()
    assert hooks == [f"hook {name}:{probe.name}" for name, tracer in all_tracers().items() for probe in tracer.probes]
    assert len(set(hooks)) == len(hooks)
    assert len(hooks) >= 4


class AllTypes(btf.Btf):
    """A kernel that has every tracepoint but one, and every iterator."""

    def __init__(self) -> None:
        pass

    def raw_tracepoint_arguments(self, name: str) -> int | None:
        return None if name == "gone" else 1

    def struct(self, name: str) -> tuple[int, dict[str, int]] | None:
        return (8, {}) if name else None


def hooks_of(monkeypatch: pytest.MonkeyPatch, reasons: dict[str, str | None]) -> list[Check]:
    probes = tuple(Probe("raw_tracepoint", hook, f"on_{hook}", (f"{hook}_rows",)) for hook in reasons)
    monkeypatch.setattr(bpf, "all_tracers", lambda: {"t": Tracer("", probes, lambda _: {})})
    monkeypatch.setattr(bpf, "_attach_all", lambda: {("t", f"raw_tracepoint:{hook}"): reason for hook, reason in reasons.items()})
    return bpf.hooks(AllTypes(), None)


def test_one_hook_is_enough_for_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    good, refused, gone = hooks_of(monkeypatch, {"good": None, "refused": "Invalid argument:\n  R1 type=inv", "gone": "no such tracepoint"})
    assert good == Check("hook t:good", Status.OK, "raw_tracepoint, attached and detached")
    assert refused.text == "raw_tracepoint cannot be attached: Invalid argument: | R1 type=inv: a recording has no rows in refused_rows"
    assert gone.text == "this kernel has no raw_tracepoint of that name: a recording has no rows in gone_rows"
    assert (refused.status, gone.status) == (Status.MISSING, Status.MISSING)
    assert verdict([good, refused, gone]) is Exit.OK


def test_no_hook_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = hooks_of(monkeypatch, {"refused": "Operation not permitted", "gone": "no such tracepoint"})
    assert verdict(checks) is Exit.BPF
    assert all(check.fix for check in checks)


MIXED = (
    Probe("raw_tracepoint", "good", "on_good", ("a",)),
    Probe("tracepoint", "syscalls:sys_exit_odd", "on_odd", ("b",)),
    Probe("iterator", "odd", "bpf_iter__odd", ("c",)),
    Probe("map_iterator", "some_map", "bpf_iter__map", ("d",)),
    Probe("tracepoint", "syscalls:not_here", "on_not_here", ("e",), when=lambda _: False),
)


class FewTypes(AllTypes):
    """A kernel without iterators over maps."""

    def struct(self, name: str) -> tuple[int, dict[str, int]] | None:
        return (8, {}) if name == "bpf_iter__odd" else None


def test_each_kind_of_hook_is_looked_for_where_the_kernel_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "tracefs is not mounted, and cannot be at /sys/kernel/tracing: Operation not permitted"
    reasons = {("t", str(probe)): reason if probe.kind == "tracepoint" else None for probe in MIXED}
    monkeypatch.setattr(bpf, "all_tracers", lambda: {"t": Tracer("", MIXED, lambda _: {})})
    monkeypatch.setattr(bpf, "_attach_all", lambda: reasons)
    assert [check.text for check in bpf.hooks(FewTypes(), "needs root")] == [
        "not checked: needs root (raw_tracepoint, which the kernel has)",
        "not checked: needs root (tracepoint)",
        "not checked: needs root (iterator, which the kernel has)",
        "this kernel has no map_iterator of that name: a recording has no rows in d",
    ]
    good, refused, iterator, over_map = bpf.hooks(AllTypes(), None)
    assert (good.text, iterator.text, over_map.text) == (
        "raw_tracepoint, attached and detached",
        "iterator, attached and detached",
        "map_iterator, loaded",
    )
    assert refused.text == f"tracepoint cannot be attached: {reason}: a recording has no rows in b"
    assert refused.fix == "mount it as the host's root: mount -t tracefs tracefs /sys/kernel/tracing"


def test_another_package_called_bcc_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "bcc"
    wrong.mkdir()
    (wrong / "__init__.py").write_text("crystals = True\n")
    monkeypatch.setenv("BPFTAPE_BCC", str(wrong))
    libraries.load_bcc.cache_clear()
    check = bpf.bcc()
    libraries.load_bcc.cache_clear()
    assert (check.status, check.code) == (Status.MISSING, Exit.BPF)
    assert f"the bcc at {wrong} is another package" in check.text
    assert "python3-bpfcc" in check.fix
    assert [found.text for found in bpf.wrong_bcc()] == [f"{wrong} is another package of that name, and not used"]


def test_bcc_that_breaks_while_it_loads_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, said in (("raise ImportError('libbcc.so.0')", "does not load: libbcc.so.0"), ("1 / 0", "ZeroDivisionError")):
        (tmp_path / "__init__.py").write_text(text + "\n")
        monkeypatch.setenv("BPFTAPE_BCC", str(tmp_path))
        libraries.load_bcc.cache_clear()
        check = bpf.bcc()
        assert (check.status, check.code) == (Status.MISSING, Exit.BPF)
        assert said in check.text
    sys.modules.pop("bcc", None)


@pytest.mark.parametrize(("contents", "wrong"), [((), True), (("libbcc.py",), False)])
def test_the_bcc_of_pypi_is_found_in_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: tuple[str, ...], wrong: bool
) -> None:
    (tmp_path / "bcc-1.4.dist-info").mkdir()
    (tmp_path / "bcc-1.4.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bcc\nVersion: 1.4\n")
    (tmp_path / "bcc").mkdir()
    for name in contents:
        (tmp_path / "bcc" / name).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("BPFTAPE_BCC", str(tmp_path / "absent"))
    found = [(check.text, check.fix) for check in bpf.wrong_bcc()]
    assert found == ([("bcc 1.4 of this environment is a crystallography library, and not used", "pip uninstall bcc")] if wrong else [])


def test_json_is_valid_for_odd_texts() -> None:
    odd = Check("disk", Status.OK, "free in /tmp/\udcff\x1b[31m")
    assert json.loads(json.dumps(as_json([odd])))["checks"][0]["text"] == odd.text
