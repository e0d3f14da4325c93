"""The processes of ``witnessed.py``: every way to make one, to start a program in one, and to end one."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TRUE = os.path.realpath("/bin/true")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP, signal.SIGUSR1, signal.SIGABRT, signal.SIGALRM, signal.SIGQUIT)

PROGRAMS = (
    ("spawn_calls", ""),
    ("exec_from_thread", ""),
    ("leader_first", "21 thread 22"),
    ("leader_first", "23 group 24"),
    ("leader_first", "25 signal 15"),
    ("ends_together", "3 4"),
    ("threads", "5"),
)


def make_files(folder: Path) -> None:
    """Make files that can be executed, and others that cannot."""
    for name, text, mode in (
        ("script", "#!/bin/sh\nexit 3\n", 0o755),
        ("script with an option", "#!/bin/sh -e \nfalse\n", 0o755),
        ("no format", "\1\2\3", 0o755),
        ("no program", "text", 0o644),
    ):
        path = folder / name
        path.write_text(text)
        path.chmod(mode)


def ended(work: Callable[..., object], *arguments: object) -> int:
    """Run ``work`` in a process of its own and wait for its end; return its status."""
    pid = os.fork()
    if not pid:
        try:
            work(*arguments)
        finally:
            os._exit(70)
    return os.waitpid(pid, 0)[1]


def by_signal(number: int) -> None:
    os.kill(os.getpid(), number)


def started(folder: Path, number: int) -> None:
    """Start programs by vfork(2), and by what posix_spawn(3) uses: with odd arguments, with too many, and through an interpreter."""
    subprocess.run([TRUE, "", "two words", 'a "quote"', "a\nline", b"\xff \xc3\xa9", str(number)], check=False)
    os.waitpid(os.posix_spawn(TRUE, ["not its name", "x" * 3_000, "y" * 3_000, str(number)], {}), 0)
    os.waitpid(os.posix_spawn(folder / "script", ["its name", "one", ""], {}), 0)
    os.waitpid(os.posix_spawn(folder / "script with an option", ["script with an option"], {}), 0)
    with suppress(OSError):
        os.waitpid(os.posix_spawn(folder / "nothing", ["nothing"], {}), 0)
    with suppress(OSError):
        subprocess.run([folder / "nothing"], check=False)


def fail_then_succeed(folder: Path, number: int) -> None:
    """Have execve(2) fail in each way, then succeed, or end."""
    os.chdir(folder)
    for path in (folder / "nothing", folder, folder / "no program", folder / "no format", folder / "script" / "below"):
        with suppress(OSError):
            os.execv(path, [str(path)])
    if number % 2:
        os.execv("./script", ["by a relative path", str(number)])
    os._exit(127)


def by_descriptor() -> None:
    fd = os.open(TRUE, os.O_RDONLY)
    os.set_inheritable(fd, True)
    os.execve(fd, ["by descriptor"], {})


def orphan(number: int) -> None:
    """End before the own child does."""
    parent = os.getpid()
    if not os.fork():
        while os.getppid() == parent:
            os.sched_yield()
        os._exit(number % 256)
    os._exit(number % 7)


def with_threads(end: Callable[..., object], *arguments: object) -> None:
    """Call ``end`` while other threads are in a system call."""
    for _ in range(2):
        threading.Thread(target=lambda: os.read(os.pipe()[0], 1), daemon=True).start()
    end(*arguments)


def exec_in_thread(number: int) -> None:
    thread = threading.Thread(target=lambda: os.execv(TRUE, ["from a thread", str(number)]))
    thread.start()
    thread.join()


def forget_children() -> None:
    """Make children whom nobody waits for, since they leave no zombie."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in range(3):
        if not os.fork():
            os._exit(number)
    with suppress(ChildProcessError):
        os.wait()
    os._exit(5)


def stopped(number: int) -> None:
    """Stop a process and let it go on."""
    pid = os.fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(number % 256)
    os.waitpid(pid, os.WUNTRACED)
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)


def in_threads(number: int) -> None:
    """Have several threads fork at the same time."""
    threads = [threading.Thread(target=ended, args=(os._exit, (number + code) % 256)) for code in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def everything(folder: Path, number: int) -> None:
    """Do all of it once."""
    for code in range(4):
        ended(os._exit, (4 * number + code) % 256)
    ended(by_signal, SIGNALS[number % len(SIGNALS)])
    started(folder, number)
    ended(fail_then_succeed, folder, number)
    ended(by_descriptor)
    ended(os.execv, "/bin/sh", ["sh", "-c", f'exec sh -c "exec {TRUE} {number}"'])
    ended(orphan, number)
    ended(with_threads, os._exit, number % 256)
    ended(with_threads, by_signal, signal.SIGKILL)
    ended(exec_in_thread, number)
    ended(forget_children)
    stopped(number)
    in_threads(number)
