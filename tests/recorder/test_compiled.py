"""What a compiled C file is kept as, and where: nothing of it is lost on the way, and nothing is taken from where others may write."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from recorder import cache
from recorder.compiled import Compiled, Map, layout, with_maps
from recorder.decode import record_dtype


def instruction(opcode: int, registers: int, immediate: int) -> bytes:
    return struct.pack("=BBhi", opcode, registers, 0, immediate)


# r1 = map 7; r2 = the number 7, in 64 bits; r0 = 7; exit
CODE = b"".join(
    [
        instruction(0x18, 0x11, 7),
        instruction(0, 0, 0),
        instruction(0x18, 0x02, 7),
        instruction(0, 0, 0),
        instruction(0xB7, 0x00, 7),
        instruction(0x95, 0x00, 0),
    ]
)
COMPILED = Compiled(
    (Map("events_ring", 27, 0, 0, 4096, 0), Map("seen", 1, 4, 8, 1024, 0)),
    {"on_exit": CODE},
    {"events": {"names": ["ts_ns", "comm"], "formats": ["u8", "S16"], "offsets": [0, 8], "itemsize": 24}},
)


class Record(ctypes.Structure):
    _fields_ = (
        ("ts_ns", ctypes.c_ulonglong),
        ("errno", ctypes.c_int),
        ("family", ctypes.c_ubyte),
        ("comm", ctypes.c_char * 16),
        ("saddr", ctypes.c_ubyte * 16),
        ("words", ctypes.c_uint * 3),
    )


def test_only_loads_of_maps_change() -> None:
    changed = with_maps(CODE, {7: 123})
    assert [struct.unpack_from("=i", changed, at + 4)[0] for at in range(0, len(CODE), 8)] == [123, 0, 7, 0, 7, 0]
    assert with_maps(changed, {123: 7}) == CODE


def test_it_is_the_same_after_it_was_text() -> None:
    assert Compiled.from_json(COMPILED.to_json()) == COMPILED


def test_the_layout_is_what_numpy_makes_of_the_structure() -> None:
    assert np.dtype(layout(Record)).itemsize == ctypes.sizeof(Record)  # type: ignore[call-overload]
    assert record_dtype(layout(Record)) == record_dtype(Record)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a cache."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("BPFTAPE_CACHE", str(folder))
    return folder


def entry(job: str = "a job") -> cache.Entry:
    found = cache.entry(job, [])
    assert found
    return found


def test_what_is_kept_is_found_again_for_the_same_job_only(kept: Path) -> None:
    assert entry().read() is None
    entry().write(COMPILED)
    assert entry().read() == COMPILED
    assert entry("another job").read() is None
    (file,) = kept.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_compiler_has_another_entry(kept: Path, tmp_path: Path) -> None:
    assert kept.is_dir()
    compiler = tmp_path / "bcc"
    compiler.mkdir()
    places = [cache.entry("a job", [compiler])]
    (compiler / "__init__.py").touch()
    places.append(cache.entry("a job", [compiler]))
    os.utime(compiler / "__init__.py", (1, 1))
    places.append(cache.entry("a job", [compiler]))
    assert len(set(places)) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"maps": []}', '{"maps": [{"x": 1}], "functions": {}, "records": {}}', "\x00\xff"])
def test_a_damaged_entry_is_none(kept: Path, content: str) -> None:
    assert kept.is_dir()
    entry().path.write_text(content, encoding="latin-1")
    assert entry().read() is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_no_cache(kept: Path, mode: int) -> None:
    kept.chmod(mode)
    assert cache.entry("a job", []) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
def test_a_folder_of_somebody_else_is_no_cache(kept: Path) -> None:
    os.chown(kept, 12345, 12345)
    assert cache.entry("a job", []) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
@pytest.mark.parametrize(("owner", "mode"), [(12345, 0o600), (0, 0o620), (0, 0o602)])
def test_what_somebody_else_put_there_while_the_folder_was_open_is_not_loaded(kept: Path, owner: int, mode: int) -> None:
    place = entry()
    place.write(COMPILED)
    assert kept.is_dir()
    assert place.read() == COMPILED
    os.chown(place.path, owner, owner)
    place.path.chmod(mode)
    assert place.read() is None


def test_a_link_to_an_entry_is_none(kept: Path) -> None:
    place = entry()
    place.write(COMPILED)
    place.path.rename(kept / "elsewhere")
    place.path.symlink_to(kept / "elsewhere")
    assert place.read() is None


def test_a_link_to_a_folder_is_no_cache(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = kept.parent / "link"
    link.symlink_to(kept)
    monkeypatch.setenv("BPFTAPE_CACHE", str(link))
    assert cache.entry("a job", []) is None


def test_nothing_is_made_where_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPFTAPE_CACHE", str(tmp_path / "absent"))
    assert cache.entry("a job", []) is None
    assert list(tmp_path.iterdir()) == []


def test_a_cache_on_a_full_or_read_only_disk_is_none(kept: Path) -> None:
    place = entry()
    kept.rmdir()
    place.write(COMPILED)
    assert place.read() is None


def test_the_oldest_go_where_there_are_many(kept: Path) -> None:
    for number in range(70):
        place = entry(f"job {number}")
        place.write(COMPILED)
        os.utime(place.path, (number, number))
    entry("one more").write(COMPILED)
    assert len(list(kept.iterdir())) == 64
    assert entry("one more").read()
    assert entry("job 69").read()
    assert entry("job 0").read() is None
