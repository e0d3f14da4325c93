"""In a virtual machine: have the host compile, with this same Debian's BCC. Emulation makes a compilation last 10 to 20 s, and there are some 70.

``python far_compiler.py PORT`` holds the port to the host and takes what is to be compiled, one after the other, from a socket. Imported, as
guest.sh has the environment do for compilations, it stands in for root's ``python -m recorder.compiler``. The first compilation of all, and
those of other users, are the guest's own.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, BinaryIO

SOCKET = "/run/far-compiler"
LENGTH = struct.Struct(">I")


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message."""
    data = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return json.loads(stream.read(LENGTH.unpack(head)[0]))


def serve(port: str) -> None:
    """Pass on what processes ask for, and the answers."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(SOCKET)
    listening.listen(64)
    host = os.open(port, os.O_RDWR)  # it can be opened only once
    with open(host, "rb") as answers, open(host, "wb", closefd=False) as questions:
        is_first = True
        while True:
            connection, _ = listening.accept()
            with suppress(ConnectionError), connection, connection.makefile("rb") as wanted, connection.makefile("wb") as made:
                job, answer = receive(wanted), None
                if not is_first:
                    send(questions, job)
                    answer = receive(answers)
                is_first = False
                send(made, answer)  # who asked may have been killed


def ask() -> None:
    """Compile what standard input asks for, as recorder.compiler does, and end this process; return where that is to be done here."""
    job = json.load(sys.stdin)
    os.lseek(sys.stdin.fileno(), 0, os.SEEK_SET)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(SOCKET)
        with connection.makefile("rb") as made, connection.makefile("wb") as wanted:
            send(wanted, job)
            answer = receive(made)
    if answer is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 # it lives as long as the process
        return
    sys.stdout.write(answer["out"])
    sys.stderr.write(answer["err"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(answer["status"])


if __name__ == "__main__":
    serve(sys.argv[1])
elif os.geteuid() == 0 and os.path.exists(SOCKET):  # noqa: PTH110 # pathlib takes longer to import than all else here
    ask()
