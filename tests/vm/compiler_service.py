"""On the host: compile what a virtual machine asks for, with the BCC of its Debian, whose folder is entered for that."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support import REPO
from tests.vm.far_compiler import receive, send

_IN_TREE = """
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --bind -o ro "$2" "$1/mnt"
set -- "$1" PATH=/usr/bin:/bin PYTHONPATH=/mnt PYTHONDONTWRITEBYTECODE=1 BCC_KERNEL_SOURCE=/mnt/bpf/stubs python3 -P -m recorder.compiler "$3"
root=$1
shift
exec chroot "$root" env -i "$@"
"""


def compile_in(tree: Path, job: Any) -> dict[str, Any]:
    """Compile ``job`` as ``recorder/compiler.py`` does in a guest that has this repository at /mnt."""
    words = ["unshare", "--mount", "sh", "-euc", _IN_TREE, "sh", str(tree), str(REPO), str(os.getpid())]
    done = subprocess.run(words, input=json.dumps(job), capture_output=True, text=True, check=False)
    return {"out": done.stdout, "err": done.stderr, "status": done.returncode}


class CompilerService(threading.Thread):
    """Answers a guest through QEMU's socket ``path`` until that closes, or until it is told to end."""

    def __init__(self, path: Path, tree: Path) -> None:
        super().__init__(daemon=True)
        self._path, self._tree = path, tree
        self._ending = threading.Event()

    def __enter__(self) -> CompilerService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.join()

    def run(self) -> None:
        with suppress(ConnectionError), socket.socket(socket.AF_UNIX) as connection:
            while not self._is_connected(connection):
                if self._ending.wait(0.1):
                    return
            with connection.makefile("rb") as questions, connection.makefile("wb") as answers:
                while (job := receive(questions)) is not None:
                    send(answers, compile_in(self._tree, job))

    def _is_connected(self, connection: socket.socket) -> bool:
        try:
            connection.connect(str(self._path))
        except (FileNotFoundError, ConnectionRefusedError):  # QEMU is not that far
            return False
        return True
