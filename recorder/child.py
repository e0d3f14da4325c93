"""The command of ``record -- COMMAND``: made before the probes are attached, let go when they are."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Collection, Sequence
from pathlib import Path

from recorder.errors import Exit, RecorderError
from recorder.signals import ENDING

# Python ignores these, and a signal that is ignored stays so across exec. Handlers need nothing: exec resets them.
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def _first_environment() -> dict[bytes, bytes]:
    """Return the environment that this process was started with: Python itself adds LC_CTYPE where no locale is set (PEP 538)."""
    items = Path("/proc/self/environ").read_bytes().split(b"\0")
    return dict(item.split(b"=", 1) for item in items if b"=" in item)


class Child:
    """A process that waits for :meth:`release` and then becomes the command."""

    def __init__(self, command: Sequence[str], ignored: Collection[signal.Signals] = ()) -> None:
        """Make the process. Only the caller's thread lives on in it, so call this before the recorder starts its own.

        ``ignored`` are the signals that the caller was started with ignored: the command is, too.
        """
        self.command = list(command)
        # Python's own handler would hide that it was ignored, as it is in background jobs of scripts.
        self._ignored = tuple(ignored)
        self._gate_read, self._gate = os.pipe()
        self._error, error_write = os.pipe()
        # A signal that comes before the command does waits for it, and then ends it before it begins.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        self.pid = os.fork()
        if self.pid == 0:
            self._become(error_write, mask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(self._gate_read)
        os.close(error_write)
        self.pidfd = os.pidfd_open(self.pid)
        self._status: int | None = None

    def _become(self, error_write: int, mask: Collection[int]) -> None:
        try:
            os.close(self._gate)
            released = os.read(self._gate_read, 1)
            os.close(self._gate_read)
            if released:
                for number in (*_IGNORED_BY_PYTHON, *ENDING):
                    signal.signal(number, signal.SIG_DFL)
                for number in self._ignored:
                    signal.signal(number, signal.SIG_IGN)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                os.execvpe(self.command[0], self.command, _first_environment())
        except OSError as error:
            os.write(error_write, str(error.errno).encode())
        finally:
            os._exit(Exit.COMMAND_NOT_FOUND)

    def release(self) -> None:
        """Let the command start. Raise RecorderError (exit 127 or 126, as shells do) when it cannot be executed."""
        os.write(self._gate, b"!")
        os.close(self._gate)
        self._gate = -1
        failure = os.read(self._error, 16)
        os.close(self._error)
        if failure:
            self.wait()
            number = int(failure)
            code = Exit.COMMAND_NOT_FOUND if number == errno.ENOENT else Exit.COMMAND_NOT_EXECUTABLE
            raise RecorderError(f"{self.command[0]}: {os.strerror(number)}", "give a command that can be executed after --", code)

    def abandon(self) -> None:
        """End the process when it was never released."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
            self.wait()

    def send(self, number: int) -> None:
        """Send a signal to the command, unless it has ended."""
        if self._status is None:
            signal.pidfd_send_signal(self.pidfd, number)

    def hears_terminal(self, number: int) -> bool:
        """Say whether the command has had this signal already: Ctrl-C goes to all of the terminal's foreground group, this process among them."""
        if number != signal.SIGINT:
            return False
        try:
            terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # there is none
            return False
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp() == os.getpgid(self.pid)
        except OSError:  # the terminal or the command has gone
            return True
        finally:
            os.close(terminal)

    def wait(self) -> int:
        """Wait for the end of the command; return its exit code, or 128 and the number of the signal that ended it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status if self._status >= 0 else 128 - self._status
