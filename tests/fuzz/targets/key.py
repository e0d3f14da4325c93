"""The file that holds the key of pseudonyms."""

from __future__ import annotations

from analyzer.share.key import read_key
from analyzer.share.pseudonyms import Pseudonyms
from tests.fuzz.target import Target, scratch

PATH = scratch() / "key"
PATH.touch(mode=0o600)


def run(data: bytes) -> None:
    PATH.write_bytes(data)
    key = read_key(PATH)
    assert key is not None
    Pseudonyms(key).address("10.0.0.1")


TARGET = Target(run, lambda: [b"0123456789abcdef" * 4 + b"\n"], words=(b"0" * 64, b" ", b"\n", b"0x", b"\xff"), longest=300)
