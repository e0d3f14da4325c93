"""``bpftape doctor``: whether this host can record, and what to do where it cannot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from recorder import __version__
from recorder.doctor import bpf, host
from recorder.doctor.check import Check, Status, collect, not_checked
from recorder.errors import Exit


def examine() -> list[Check]:
    """Make every check that the privileges at hand allow, and return all of them in the order to show. Leaves nothing behind, never raises."""
    btf_check, btf = host.read_btf()
    bcc_check = bpf.bcc()
    lacking = [what for what, lacks in (("root", host.lacks_privilege()), ("BTF", btf is None), ("BCC", bcc_check.status is not Status.OK)) if lacks]
    obstacle = f"needs {' and '.join(lacking)}" if lacking else None
    checks = [*collect("kernel", host.kernel), btf_check]
    checks += collect("capabilities", partial(host.capabilities, btf))
    for name, look in (
        ("lockdown", host.lockdown),
        ("unprivileged BPF", host.unprivileged_bpf),
        ("tracefs", host.tracefs),
        ("BPF JIT", host.jit),
        ("cgroups", host.cgroups),
    ):
        checks += collect(name, look)
    checks += [bcc_check, *collect("bcc of PyPI", bpf.wrong_bcc)]
    if obstacle or btf is None:
        checks += [not_checked(name, str(obstacle)) for name in ("ring buffer", "XDP", "BPF run statistics")]
    else:
        checks += collect("ring buffer", partial(bpf.programs, btf), Exit.BPF)
        checks += collect("BPF run statistics", bpf.statistics)
    checks += collect("hooks", partial(bpf.hooks, btf, obstacle), Exit.BPF)
    return checks + collect("disk", host.disk)


def verdict(checks: Sequence[Check]) -> Exit:
    """Return the exit code: 0 when this host can record, 70 when BPF cannot work here, 77 when only privilege is missing."""
    codes = {check.code for check in checks if check.status is Status.MISSING}
    return next((code for code in (Exit.BPF, Exit.PERMISSION) if code in codes), Exit.OK)


def summary(checks: Sequence[Check]) -> str:
    """Return the last line: whether this host can record, or what it lacks."""
    code = verdict(checks)
    missing = [check for check in checks if check.status is Status.MISSING]
    if code is not Exit.OK:
        who = "this host cannot" if code is Exit.BPF else "this process may not"
        again = ". To make all checks: sudo bpftape doctor" if code is Exit.PERMISSION and os.geteuid() != 0 else ""
        return f"{who} record: {', '.join(check.name for check in missing if check.code is code)} missing{again}"
    lesser = ", ".join(check.name for check in missing)
    return "this host can record" + (f"; missing, and not needed for that: {lesser}" if lesser else "")


def as_text(checks: Sequence[Check]) -> list[tuple[Status, str]]:
    """Return one line a check, with its status to colour it by."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        fix = f". {'Fix' if check.status is Status.MISSING else 'Optional'}: {check.fix}" if check.fix else ""
        lines.append((check.status, f"{check.status:8} {check.name:{width}}  {check.text}{fix}"))
    return lines


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return all of it for programs."""
    return {
        "bpftape": __version__,
        "exit_code": int(verdict(checks)),
        "summary": summary(checks),
        "checks": [
            {"name": check.name, "status": str(check.status), "required": check.code is not Exit.OK, "text": check.text, "fix": check.fix or None}
            for check in checks
        ],
    }
