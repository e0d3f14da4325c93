"""What only trying can tell: BCC, and whether the kernel takes the programs that a recording is made of.

Everything made here is let go of before the next check: descriptors hold the maps, programs and links, nothing is pinned.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recorder import bpf_program
from recorder.bpf_program import BpfProgram
from recorder.btf import Btf, relocate
from recorder.doctor.check import Check, Status, not_checked
from recorder.errors import Exit, RecorderError
from recorder.tracers import Probe, all_tracers

if TYPE_CHECKING:
    from recorder.session import Options

_CLONE_NEWNET = 0x40000000
# The loopback interface is the first one of every net namespace.
_LOOPBACK = 1


def bcc() -> Check:
    """Find BCC and load it."""
    try:
        module = bpf_program.load_bcc()
    except RecorderError as error:
        return Check("BCC", Status.MISSING, error.message, error.hint, Exit.BPF)
    except Exception as error:  # another package of that name may do anything when it is imported
        return Check("BCC", Status.MISSING, f"it does not load: {error!r}", bpf_program.INSTALL_BCC, Exit.BPF)
    return Check("BCC", Status.OK, f"{getattr(module, '__version__', 'of unknown version')} in {Path(str(module.__file__)).parent}")


def wrong_bcc() -> Iterator[Check]:
    """Look for the crystallography library that PyPI calls bcc: among the folders where BCC may be, and in this environment."""
    for folder in bpf_program.bcc_candidates():
        if (folder / "__init__.py").is_file() and not (folder / "libbcc.py").is_file():
            yield Check("bcc of PyPI", Status.NOTE, f"{folder} is another package of that name, and not used", "uninstall it with its own pip")
    try:
        distribution = importlib.metadata.distribution("bcc")
    except importlib.metadata.PackageNotFoundError:
        return
    if not Path(str(distribution.locate_file("bcc/libbcc.py"))).is_file():
        text = f"bcc {distribution.version} of this environment is a crystallography library, and not used"
        yield Check("bcc of PyPI", Status.NOTE, text, "pip uninstall bcc")


def libbpf() -> Check:
    """Find libbpf, which makes the links of XDP programs."""
    try:
        lib = bpf_program.load_libbpf()
    except RecorderError as error:
        return Check("libbpf", Status.MISSING, f"{error.message}; drops need it", error.hint)
    try:
        lib.libbpf_version_string.restype = ctypes.c_char_p
        version = lib.libbpf_version_string().decode()
    except AttributeError:  # older than 0.6
        version = "found"
    return Check("libbpf", Status.OK, version)


def _options() -> Options:
    """Return what a plain ``record`` would ask for, with the smallest rings."""
    from recorder.session import Options

    return Options(Path(), tuple(all_tracers()), ring_mib=1, statistics=False)


def _words(reason: str) -> str:
    return " | ".join(line.strip() for line in reason.splitlines() if line.strip())


def _refusal_fix(reason: str) -> str:
    if "not permitted" not in reason:
        return "bring BCC up to date; if that does not help, report it with this line"
    seccomp = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Seccomp:")]
    if seccomp == ["2"]:
        return "this process is under a seccomp filter, as in a container: run it on the host, or start the container with --privileged"
    return "a security module forbids bpf(2): see journalctl -k"


def programs(btf: Btf) -> Iterator[Check]:
    """Make a small ring, a program that writes to it, and an XDP program; attach the latter where nobody is."""
    from recorder.attach import kernel_flags

    declarations = relocate((bpf_program.source_folder() / "kernel_types.h").read_text(), btf)
    try:
        program = BpfProgram("doctor.c", declarations, [*kernel_flags(btf, _options()), "-DRING_PAGES_doctor=1"])
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
        program.load_raw_tracepoint("doctor_ring_program")
    except RecorderError as error:
        return Check("ring buffer", Status.MISSING, f"made, but no program is taken: {_words(error.message)}", _refusal_fix(error.message), Exit.BPF)
    return Check("ring buffer", Status.OK, "made, and a program that writes to it loaded")


def _xdp(program: BpfProgram, btf: Btf) -> Check:
    try:
        program.load_xdp("doctor_xdp_program")
    except RecorderError as error:
        return Check("XDP", Status.MISSING, f"no program is taken, so no packet can be dropped: {_words(error.message)}", _refusal_fix(error.message))
    if btf.struct("bpf_xdp_link") is None:
        return Check("XDP", Status.MISSING, "this kernel has no links for XDP, so no packet can be dropped", "boot Linux 5.9 or newer")
    try:
        _in_own_net_namespace(lambda: program.attach_generic_xdp("doctor_xdp_program", _LOOPBACK))
    except (RecorderError, OSError) as error:
        return Check("XDP", Status.MISSING, f"no program can be attached, so no packet can be dropped: {error}", _refusal_fix(str(error)))
    finally:
        program.detach()
    return Check("XDP", Status.OK, "loaded, attached by a link to the loopback of a net namespace of its own, and detached")


def _in_own_net_namespace(action: Callable[[], None]) -> None:
    """Run ``action`` in a thread with a net namespace of its own, which ends with the thread. Raise what it raises, and OSError."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"net namespace: {os.strerror(ctypes.get_errno())}")
            action()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="bpftape-doctor")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def statistics() -> Iterator[Check]:
    """Have the kernel time BPF programs for a moment."""
    held = bpf_program.enable_statistics()
    if held is None:
        text = "the kernel does not time BPF programs for us: the cost table will not have their run times"
        yield Check("BPF run statistics", Status.MISSING, text, "it takes CAP_SYS_ADMIN, Linux 5.8, and a libbcc that uses the distribution's libbpf")
        return
    os.close(held)
    yield Check("BPF run statistics", Status.OK, "the kernel times BPF programs when asked to")


def _all_probes() -> Iterator[tuple[str, Probe]]:
    for name, tracer in all_tracers().items():
        for probe in tracer.probes:
            yield name, probe


def _known_to(btf: Btf, probe: Probe) -> bool:
    if probe.kind == "iterator":
        return btf.struct(f"bpf_iter__{probe.hook}") is not None
    return btf.raw_tracepoint_arguments(probe.hook) is not None


def hooks(btf: Btf | None, obstacle: str | None) -> list[Check]:
    """Look for every hook of every tracer in the kernel's types and, where no ``obstacle`` is named, attach and detach each."""
    reasons = {} if obstacle else _attach_all()
    found = []
    for tracer, probe in _all_probes():
        name = f"hook {tracer}:{probe.hook}"
        without = f"a recording has no rows in {', '.join(probe.tables)}"
        if btf and not _known_to(btf, probe):
            found.append(Check(name, Status.MISSING, f"this kernel has no {probe.kind} of that name: {without}", "boot a newer kernel"))
        elif obstacle:
            found.append(not_checked(name, f"{obstacle} ({probe.kind}{', which the kernel has' if btf else ''})"))
        elif reason := reasons[tracer, str(probe)]:
            found.append(Check(name, Status.MISSING, f"{probe.kind} cannot be attached: {_words(reason)}: {without}", _refusal_fix(reason)))
        else:
            found.append(Check(name, Status.OK, f"{probe.kind}, attached and detached"))
    if all(check.status is Status.MISSING for check in found):  # one hook is enough for a recording, none is not
        fix = "boot a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y"
        return [Check(check.name, check.status, check.text, fix, Exit.BPF) for check in found]
    return found


def _attach_all() -> dict[tuple[str, str], str | None]:
    """Attach every probe as ``record`` does, and detach it; return why each failed by (tracer, probe), None where it did not."""
    from recorder.attach import try_to_attach

    attached = try_to_attach(_options(), 0)
    attached.close()
    return {(row["tracer"], row["hook"]): row["reason"] for row in attached.probes}
