"""Landlock: a process gives up opening whatever it does not name. Numbers and layouts are those of linux/landlock.h.

What is open already stays so, and threads that run already are not held: call it before there are any.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from analyzer.libc import checked, libc

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, REFER, TRUNCATE, IOCTL_DEV = 1 << 7, 1 << 8, 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | TRUNCATE | REMOVE_FILE | REMOVE_DIR | MAKE_REG | MAKE_DIR | REFER

# The three calls have the same numbers on all machines but alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38
# What a rule for a file, rather than for a folder, may allow.
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_RIGHTS_BY_VERSION = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1)
_NETWORK_VERSION, _TCP = 4, 0b11
_SCOPE_VERSION, _ABSTRACT_SOCKETS, _SIGNALS = 6, 0b01, 0b10

Rule = tuple[Path, int]
"""A file, or a folder and all below it, and what may be done there. One that does not exist is no rule."""


def version() -> int:
    """Return the kernel's version of Landlock; 0 where it has none, or has it switched off."""
    return max(_call(_CREATE_RULESET, None, 0, _VERSION), 0)


def restrict(rules: Iterable[Rule], signals: bool = False) -> bool:
    """Let this thread, and all that it starts, open only what ``rules`` name, and no TCP connection; say whether the kernel can.

    ``signals``: it may send signals to processes that it did not start.

    Setuid programs and the like give no privileges any more (no_new_privs). Before version 2 (Linux 5.19) nothing can be
    moved between folders, whatever the rules say, so that is as good as none.
    """
    found = version()
    if found < 2:
        return False
    handled = _RIGHTS_BY_VERSION[min(found, len(_RIGHTS_BY_VERSION) - 1)]
    scope = _ABSTRACT_SOCKETS if signals else _ABSTRACT_SOCKETS | _SIGNALS
    attributes = [handled, *([_TCP] if found >= _NETWORK_VERSION else []), *([scope] if found >= _SCOPE_VERSION else [])]
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    ruleset = checked(_call(_CREATE_RULESET, packed, len(packed), 0))
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & handled)
        checked(int(libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
        checked(_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # nothing that could be opened later either
        return
    try:
        of_it = rights if stat.S_ISDIR(os.fstat(place).st_mode) else rights & _OF_FILES
        checked(_call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", of_it, place), 0))
    except OSError as error:
        if error.errno not in (errno.EBADFD, errno.ENOMSG):  # a pipe or the like, which is never forbidden; no right that such a file has
            raise
    finally:
        # A rule is about an inode. Those of /proc are forgotten when memory is short and nobody has them open, and made anew without the rule.
        if not path.is_relative_to("/proc"):
            os.close(place)


def _call(number: int, *arguments: int | bytes | None) -> int:
    return int(libc().syscall(number, *(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments)))
