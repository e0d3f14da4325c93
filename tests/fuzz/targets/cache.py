"""A compiled program that was kept between recordings, and may have been damaged since."""

from __future__ import annotations

from recorder.cache import Entry
from tests.fuzz.odd_json import mutate_json
from tests.fuzz.target import Target, scratch
from tests.recorder.test_compiled import COMPILED

PATH = scratch() / "entry.json"


def run(data: bytes) -> None:
    PATH.write_bytes(data)
    PATH.chmod(0o600)
    found = Entry(PATH).read()
    if found:
        found.to_json()


TARGET = Target(run, lambda: [COMPILED.to_json().encode()], words=(b"null", b'"maps":', b"="), mutate=mutate_json)
