"""A policy of sharing that somebody wrote: TOML."""

from __future__ import annotations

from pathlib import Path

from analyzer.share import policy
from tests.fuzz.target import Target, scratch

PATH = scratch() / "own.toml"


def run(data: bytes) -> None:
    PATH.write_bytes(data)
    policy.load(str(PATH))


def seeds() -> list[bytes]:
    built_in = [(Path(policy.__file__).parent / "policies" / f"{name}.toml").read_bytes() for name in policy.built_in()]
    return [*built_in, b'base = "standard"\n[kinds]\nprogram = "keep"\n[columns]\nexec.filename = "drop"\n']


TARGET = Target(
    run,
    seeds,
    words=(
        b"base = ",
        b"[kinds]\n",
        b"[columns]\n",
        b'"keep"',
        b'"drop"',
        b"exec.argv = ",
        b"[[",
        b"{a = 1}",
        b"nan",
        b"1979-05-27",
        b'"""',
        b"\\ud800",
    ),
    examples=80,
)
