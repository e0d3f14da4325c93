"""A packed recording: one zip file, opened where it lies, and unpacked."""

from __future__ import annotations

import itertools
import random
import shutil
import struct
import zipfile

from analyzer.pack_files import PackedFiles
from analyzer.packing import pack, unpack
from analyzer.recording import open_recording, open_store
from recorder.schema import MANIFEST
from tests.fuzz.target import Target, scratch
from tests.rows import read_rows, write_recording

PLACE = scratch()
PATH = PLACE / "fuzzed.bpftape.zip"
NUMBERS = itertools.count()


def run(data: bytes) -> None:
    PATH.write_bytes(data)
    store = open_store(PATH)
    names = store.names()
    files = PackedFiles({"id": store})  # type: ignore[dict-item]
    for name in names:
        with store.open(name) as file:
            assert len(file.read()) == store.size(name)
        handle = files.open(f"bpftape://id/{name}")
        handle.seek(-4, 2)
        handle.read()
        handle.close()
    open_recording(PATH)
    target = PLACE / str(next(NUMBERS))
    target.mkdir()
    try:
        made = unpack(PATH, target)
        assert made.parent == target
        assert all(path.resolve().is_relative_to(target) for path in target.rglob("*"))
    finally:
        shutil.rmtree(target)


def seeds() -> list[bytes]:
    rows = {name: found[:1] for name, found in read_rows().items() if name in ("exit", "clock")}
    folder = write_recording(PLACE / "seed.bpftape", rows)
    data = pack(folder, PLACE / "seed.bpftape.zip").read_bytes()
    shutil.rmtree(folder)
    (PLACE / "seed.bpftape.zip").unlink()
    return [data]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change a number of the list of members, of a member's own header, or of the end: that is where everything lies."""
    heads = [place for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7") for place in _places(data, mark)]
    act = chance.randrange(5)
    if act == 0 and heads:  # an entry comes twice
        place = chance.choice(heads)
        end = min((other for other in heads if other > place), default=len(data))
        return data[:place] + data[place:end] + data[place:]
    if act == 1:
        return data.replace(*chance.choice([(b"exit/", b"../x/"), (b"seed", b"s\0ed"), (b"000000", b"00000\xff"), (MANIFEST.encode(), b"x" * 14)]), 1)
    place = (chance.choice(heads) if heads else 0) + chance.randrange(50)
    size = chance.choice([1, 2, 4])
    value = chance.choice([0, 1, 8, 0xFF, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, len(data), chance.randrange(1 << 32)])
    return data[:place] + struct.pack("<I", value)[:size] + data[place + size :]


def _places(data: bytes, mark: bytes) -> list[int]:
    found, place = [], data.find(mark)
    while place >= 0:
        found.append(place)
        place = data.find(mark, place + 1)
    return found


assert zipfile.ZIP_STORED == 0

TARGET = Target(
    run,
    seeds,
    words=(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\xff\xff\xff\xff", b"../", b"\0"),
    mutate=mutate,
    examples=40,
    longest=30_000,
)
