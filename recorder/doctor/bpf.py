"""What only trying can tell: BCC, and whether the kernel takes the programs that a recording is made of.

Everything made here is let go of before the next check: descriptors hold the maps, programs and links, nothing is pinned.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.libc import checked, libc
from recorder import bpf_call, libraries, tracefs
from recorder.apart import apart
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf
from recorder.compiler import compile_source
from recorder.doctor.check import Check, Status, not_checked
from recorder.errors import Exit, RecorderError
from recorder.tracers import Probe, all_tracers

if TYPE_CHECKING:
    from recorder.session import Options

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC_PRIVATE = 1 << 14 | 1 << 18
# The loopback interface is the first one of every net namespace.
_LOOPBACK = 1


def bcc() -> Check:
    """Find BCC and load it."""
    try:
        module = libraries.load_bcc()
    except RecorderError as error:
        return Check("BCC", Status.MISSING, error.message, error.hint, Exit.BPF)
    except Exception as error:  # another package of that name may do anything when it is imported
        return Check("BCC", Status.MISSING, f"it does not load: {error!r}", libraries.INSTALL_BCC, Exit.BPF)
    return Check("BCC", Status.OK, f"{getattr(module, '__version__', 'of unknown version')} in {Path(str(module.__file__)).parent}")


def wrong_bcc() -> Iterator[Check]:
    """Look for the crystallography library that PyPI calls bcc: among the folders where BCC may be, and in this environment."""
    for folder in libraries.bcc_candidates():
        if (folder / "__init__.py").is_file() and not (folder / "libbcc.py").is_file():
            yield Check("bcc of PyPI", Status.NOTE, f"{folder} is another package of that name, and not used", "uninstall it with its own pip")
    try:
        distribution = importlib.metadata.distribution("bcc")
    except importlib.metadata.PackageNotFoundError:
        return
    if not Path(str(distribution.locate_file("bcc/libbcc.py"))).is_file():
        text = f"bcc {distribution.version} of this environment is a crystallography library, and not used"
        yield Check("bcc of PyPI", Status.NOTE, text, "pip uninstall bcc")


def _options() -> Options:
    """Return what a plain ``record`` would ask for, with the smallest rings."""
    from recorder.session import Options

    return Options(Path(), tuple(all_tracers()), ring_mib=1, statistics=False)


def _words(reason: str) -> str:
    return " | ".join(line.strip() for line in reason.splitlines() if line.strip())


def _refusal_fix(reason: str) -> str:
    if reason.startswith("tracefs "):
        return f"mount it as the host's root: mount -t tracefs tracefs {tracefs.PLACE}"
    if "not permitted" not in reason:
        return "bring BCC up to date; if that does not help, report it with this line"
    seccomp = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Seccomp:")]
    if seccomp == ["2"]:
        return "this process is under a seccomp filter, as in a container: run it on the host, or start the container with --privileged"
    return "a security module forbids bpf(2): see journalctl -k"


def programs(btf: Btf) -> Iterator[Check]:
    """Make a small ring, a program that writes to it, and an XDP program; attach the latter where nobody is."""
    from recorder.compilations import declarations, kernel_flags

    try:
        flags = [*kernel_flags(btf, _options()), "-DRING_PAGES_doctor=1"]
        program = BpfProgram("doctor.c", compile_source("doctor.c", declarations(btf), flags))
    except RecorderError as error:
        yield Check("ring buffer", Status.MISSING, _words(error.message), _refusal_fix(error.message), Exit.BPF)
        yield not_checked("XDP", "no map can be made")
        return
    try:
        yield _ring(program)
        yield _xdp(program, btf)
    finally:
        program.close()


def _ring(program: BpfProgram) -> Check:
    try:
        program.load("doctor_ring_program", bpf_call.RAW_TRACEPOINT)
    except RecorderError as error:
        return Check("ring buffer", Status.MISSING, f"made, but no program is taken: {_words(error.message)}", _refusal_fix(error.message), Exit.BPF)
    return Check("ring buffer", Status.OK, "made, and a program that writes to it loaded")


def _xdp(program: BpfProgram, btf: Btf) -> Check:
    try:
        program.load("doctor_xdp_program", bpf_call.XDP)
    except RecorderError as error:
        return Check("XDP", Status.MISSING, f"no program is taken, so no packet can be dropped: {_words(error.message)}", _refusal_fix(error.message))
    if btf.struct("bpf_xdp_link") is None:
        return Check("XDP", Status.MISSING, "this kernel has no links for XDP, so no packet can be dropped", "boot Linux 5.9 or newer")
    try:
        _in_own_namespace(_CLONE_NEWNET, "net", lambda: program.attach_xdp("doctor_xdp_program", _LOOPBACK, "generic"))
    except (RecorderError, OSError) as error:
        return Check("XDP", Status.MISSING, f"no program can be attached, so no packet can be dropped: {error}", _refusal_fix(str(error)))
    finally:
        program.detach()
    return Check("XDP", Status.OK, "loaded, attached by a link to the loopback of a net namespace of its own, and detached")


def _in_own_namespace(flag: int, kind: str, action: Callable[[], object]) -> None:
    """Run ``action`` in a namespace of its own, which ends with it. Raise what it raises, and OSError."""

    def run() -> None:
        try:
            checked(libc().unshare(flag))
        except OSError as error:
            raise OSError(error.errno, f"{kind} namespace: {error.strerror}") from error
        action()

    apart(run)


def statistics() -> Iterator[Check]:
    """Have the kernel time BPF programs for a moment."""
    held = bpf_call.enable_statistics()
    if held is None:
        text = "the kernel does not time BPF programs for us: the cost table will not have their run times"
        yield Check("BPF run statistics", Status.MISSING, text, "it takes CAP_SYS_ADMIN and Linux 5.8")
        return
    os.close(held)
    yield Check("BPF run statistics", Status.OK, "the kernel times BPF programs when asked to")


def _wanted_probes(btf: Btf | None) -> Iterator[tuple[str, Probe]]:
    """Yield the probes of all tracers, by tracer; only those that this kernel's recordings have, where it is known."""
    for name, tracer in all_tracers().items():
        for probe in tracer.probes:
            if btf is None or probe.when(btf):
                yield name, probe


def _is_known_to(btf: Btf, probe: Probe) -> bool | None:
    """Say whether the kernel's types have the hook; None where they do not tell."""
    if probe.kind in ("iterator", "map_iterator"):
        return btf.struct(probe.function) is not None  # bpf_iter__TARGET is the name of its context, too
    if probe.kind == "tracepoint":
        return None
    return btf.raw_tracepoint_arguments(probe.hook) is not None


def hooks(btf: Btf | None, obstacle: str | None) -> list[Check]:
    """Look for every hook of every tracer in the kernel's types and, where no ``obstacle`` is named, attach and detach each."""
    reasons = {} if obstacle else _attach_all()
    found = []
    for tracer, probe in _wanted_probes(btf):
        name = f"hook {tracer}:{probe.name}"
        without = f"a recording {'may miss' if probe.is_stand_in else 'has no'} rows in {', '.join(probe.tables)}"
        known = _is_known_to(btf, probe) if btf else None
        if known is False:
            found.append(Check(name, Status.MISSING, f"this kernel has no {probe.kind} of that name: {without}", "boot a newer kernel"))
        elif obstacle:
            found.append(not_checked(name, f"{obstacle} ({probe.kind}{', which the kernel has' if known else ''})"))
        elif reason := reasons[tracer, str(probe)]:
            found.append(Check(name, Status.MISSING, f"{probe.kind} cannot be attached: {_words(reason)}: {without}", _refusal_fix(reason)))
        else:
            found.append(Check(name, Status.OK, f"{probe.kind}, {'loaded' if probe.kind == 'map_iterator' else 'attached and detached'}"))
    if all(check.status is Status.MISSING for check in found):  # one hook is enough for a recording, none is not
        fix = "boot a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y"
        return [Check(check.name, check.status, check.text, fix, Exit.BPF) for check in found]
    return found


def _attach_all() -> dict[tuple[str, str], str | None]:
    """Attach every probe as ``record`` does, and detach it; return why each failed by (tracer, probe), None where it did not."""
    from recorder.attach import try_to_attach

    rows: list[dict[str, Any]] = []

    def attach() -> None:
        attached = try_to_attach(_options(), 0)
        attached.close()
        rows.extend(attached.probes)

    _with_mounts_of_our_own(attach)
    return {(row["tracer"], row["hook"]): row["reason"] for row in rows}


def _with_mounts_of_our_own(action: Callable[[], None]) -> None:
    """Run ``action`` where the tracefs that it mounts is seen by nobody else and leaves with it; as it is where that is not needed or allowed."""
    if tracefs.is_mounted():
        action()
        return
    are_own = False

    def run() -> None:
        nonlocal are_own
        checked(libc().mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))
        are_own = True
        action()

    try:
        _in_own_namespace(_CLONE_NEWNS, "mount", run)
    except OSError:
        if are_own:
            raise
        action()  # who may not have mounts of their own may not mount tracefs either, and that is what it will say
