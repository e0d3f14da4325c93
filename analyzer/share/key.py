"""The key that pseudonyms are made under: a file that only its owner can read, or a random one that is forgotten."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from analyzer.beside import failed
from analyzer.errors import AnalyzerError, Exit

KEY_BYTES = 32
_OPEN_TO_OTHERS = 0o077


def random_key() -> bytes:
    """Return a key that nobody has."""
    return secrets.token_bytes(KEY_BYTES)


def read_key(path: Path) -> bytes | None:
    """Return the key in the file ``path``, or None where there is no such file.

    Raises AnalyzerError: 77 where others than its owner may read it, 2 where it holds no key.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would keep us waiting
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AnalyzerError(
            f"Key {path} cannot be read: {error.strerror}.", "It belongs to whoever made it: use a key of your own.", Exit.PERMISSION
        ) from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise AnalyzerError(f"Key {path} is not a regular file.", "Name a file of its own, which is made if it is not there.")
    with os.fdopen(fd, "rb") as file:
        if found.st_mode & _OPEN_TO_OTHERS or found.st_uid not in (os.geteuid(), 0):
            mode = stat.S_IMODE(found.st_mode)
            raise AnalyzerError(
                f"Key {path} is not yours alone (mode {mode:04o}, user {found.st_uid}): whoever has it can tell who is behind a pseudonym.",
                f"If nobody has read it: chmod 600 {path}. Else make another one.",
                Exit.PERMISSION,
            )
        text = file.read(4 * KEY_BYTES)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise AnalyzerError(f"Key {path} holds no key.", f"A key is {2 * KEY_BYTES} hexadecimal digits; name a new file, and one is made.")
    return key


def make_key(path: Path) -> bytes:
    """Make the file ``path``, mode 0600, with a random key; return that. Raises AnalyzerError (73, or 74 for a full disk)."""
    key = random_key()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(key.hex().encode() + b"\n")
                file.flush()
                os.fsync(fd)
        except OSError:
            path.unlink()
            raise
    except OSError as error:
        raise AnalyzerError(f"Key {path} cannot be made: {error.strerror}.", "Name another place: --key FILE", failed(path, error).code) from None
    return key
