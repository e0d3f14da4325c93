"""Boots a virtual machine, watches its console, and returns what came of its tests."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm.compiler_service import CompilerService
from tests.vm.disks import CACHE, Parts, make_empty, make_source, parts, read_results
from tests.vm.guests import Guest
from tests.vm.results import Outcome, read_console, read_outcomes

LIMIT_SECONDS = 3600.0
_LOOK_SECONDS = 1.0
_TELL_SECONDS = 30.0
_TRIES = 2
_WITH_THIS_PROCESS = ("setpriv", "--pdeathsig", "KILL")
_MACHINE = ("-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "2G")
_NOTHING_ELSE = ("-nic", "none", "-nodefaults", "-no-reboot", "-display", "none")
_TEST = re.compile(rb"(?:(\S+::.*?) )?(PASSED|FAILED|ERROR|SKIPPED|XFAIL) +\[ *(\d+)%\]")
_PANIC = re.compile(rb"Kernel panic|end trace|BUG:|Oops:")

SOURCE, RESULTS, COMPILER = "source.img", "results.img", "compiler"
"""Files of a run: two disks, and the socket behind which programs are compiled."""

Say = Callable[[str], None]
stopping = threading.Event()
"""Set when all guests are to be ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one guest's tests."""

    guest: Guest
    release: str
    """As uname(1) has it."""
    seconds: float
    outcomes: list[Outcome]
    """Of all tests, or of those that had ended when the guest broke off."""
    log: Path
    why: str = ""
    """Why it did not come to its end."""

    @property
    def is_good(self) -> bool:
        """Say whether tests ran, and all of them passed."""
        return not self.why and bool(self.outcomes) and all(outcome.passed for outcome in self.outcomes)


def accelerators() -> list[str]:
    """Return QEMU's options for running a guest: the CPU's help where it offers any, and without it emulation.

    One thread emulates all CPUs. With one for each, QEMU 7.2 may keep a translation of code that the kernel patches meanwhile, as it does whenever a
    tracepoint is switched on or off: the guest's CPUs then trap for ever at a breakpoint that is no longer there.
    """
    helps = re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    kvm = ["-accel", "kvm"] if helps and os.access("/dev/kvm", os.R_OK | os.W_OK) else []
    return [*kvm, "-accel", "tcg,thread=single"]


def command(guest: Guest, made: Parts, scratch: Path, log: Path) -> list[str]:
    """Return the command line of QEMU. Another CPU than ``max`` crashed the kernel of Debian 13 under emulation."""
    words = [*_WITH_THIS_PROCESS, "qemu-system-x86_64", *_MACHINE, *_NOTHING_ELSE, *accelerators(), "-serial", f"file:{log}"]
    words += ["-kernel", str(made.kernel / "vmlinuz"), "-initrd", str(made.kernel / "initrd"), "-append"]
    words += ["console=ttyS0 panic=-1 quiet no_timer_check" + (" bpftape.hybrid" if guest.is_hybrid else "")]
    words += ["-device", "virtio-serial", "-chardev", f"socket,id=compiler,server=on,wait=off,path={scratch / COMPILER}"]
    words += ["-device", "virtserialport,chardev=compiler"]
    disks = [(made.image, "snapshot=on"), (made.kernel / "modules.img", "readonly=on")]
    for path, how in (*disks, (scratch / SOURCE, "snapshot=on"), (scratch / RESULTS, "snapshot=off")):
        words += ["-drive", f"if=virtio,format=raw,file={path},{how}"]
    return words


def run(guest: Guest, arguments: Sequence[str], say: Say) -> Run:
    """Boot ``guest``, run pytest with ``arguments`` in it, and return what came of that."""
    made = parts(guest)
    release = (made.kernel / "release").read_text().strip()
    folder = CACHE / "vm" / guest.name
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "console.log"
    with _alone(folder, say), tempfile.TemporaryDirectory(prefix="bpftape-vm-") as name:
        scratch = Path(name)
        make_source(scratch / SOURCE, arguments)
        for attempt in range(1, _TRIES + 1):
            say(f"{release}, Debian's {guest.land}: booting")
            make_empty(scratch / RESULTS)
            begun = time.monotonic()
            with CompilerService(scratch / COMPILER, made.tree):
                why = _boot(command(guest, made, scratch, log), log, say)
            seconds = time.monotonic() - begun
            found = read_results(scratch / RESULTS, scratch)
            if found:
                return Run(guest, release, seconds, read_outcomes(found), log)
            why = why or f"the guest stopped: {_last_words(log)}"
            if stopping.is_set() or _TEST.search(log.read_bytes()) or attempt == _TRIES:
                break
            say(f"{why}; trying once more")
    return Run(guest, release, seconds, read_console(log.read_text(errors="replace")), log, why)


@contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Wait until nobody else runs this guest: there is one place for its console and for what it compiled."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run of this virtual machine")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _boot(words: list[str], log: Path, say: Say) -> str:
    """Run QEMU to its end and tell how far its tests are; return why it had to be ended, or what went wrong with it."""
    log.write_bytes(b"")
    begun = told = time.monotonic()
    seen = 0
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0) as process:
        try:
            while process.poll() is None:
                if stopping.wait(_LOOK_SECONDS):
                    return "stopped"
                now = time.monotonic()
                tests = _TEST.findall(log.read_bytes())
                for name, word, _ in tests[seen:]:
                    if word in (b"FAILED", b"ERROR"):
                        say(f"{word.decode()} {name.decode(errors='replace')}")
                seen = len(tests)
                if now - told > _TELL_SECONDS:
                    told = now
                    say(f"{now - begun:5.0f} s, {seen} tests, {int(tests[-1][2]) if tests else 0} %")
                if now - begun > LIMIT_SECONDS:
                    return f"the guest had not ended after {LIMIT_SECONDS:.0f} s"
        finally:
            if process.poll() is None:
                process.kill()
        assert process.stdout
        said = process.stdout.read().decode(errors="replace").strip()
    return f"QEMU ended with {process.returncode}: {said}" if process.returncode else ""


def _last_words(log: Path) -> str:
    """Return the line of the console that tells most of what happened."""
    lines = log.read_bytes().splitlines()
    telling = [line for line in lines if _PANIC.search(line)] or [line for line in lines if line.strip()][-1:] or [b"it said nothing"]
    return telling[0].decode(errors="replace").strip()
