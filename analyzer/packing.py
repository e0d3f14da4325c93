"""Pack a recording into one file, and unpack it: both check what they copy, and leave nothing half done."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from analyzer.beside import beside, check_new, making, sync, told
from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import Manifest, damaged
from analyzer.merged import PARTS
from analyzer.pack import PackStore
from analyzer.progress import Advance
from analyzer.recording import another, check_ended, check_size, check_sound, open_store, read_manifest, stores
from analyzer.store import PACK_SUFFIX, FolderStore, Store, is_file
from recorder.schema import MANIFEST, SUFFIX

_BLOCK_BYTES = 1 << 20
# The oldest that a zip file can have. What is packed twice is the same, byte for byte.
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def pack(path: Path, output: Path | None, advance: Advance = lambda _: None) -> Path:
    """Pack the recording in the folder ``path`` into one file, by default beside it, and return that.

    Raises AnalyzerError: 65 where it is damaged, still being written or none, 73 where the file is there or cannot be made, 74 for a full disk.
    """
    store = FolderStore(path)
    if is_file(store.path):
        raise AnalyzerError(f"{path} is no folder of a recording: it is packed already, or something else.", code=Exit.RECORDING)
    sources = _sources(store)
    check_ended(source.files for source in sources)
    folder = store.path.name if store.path.name.endswith(SUFFIX) else store.path.name + SUFFIX
    beside_it = path.parent if path.name not in ("", "..") else store.path.parent
    target = output if output is not None else beside_it / (folder.removesuffix(SUFFIX) + PACK_SUFFIX)
    with _new_file(target) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for source in sources:
            inside, manifest = f"{folder}/{source.inside}", source.manifest
            text = b"".join(line + b"\n" for line in manifest.lines)
            _store(packed, f"{inside}{MANIFEST}", io.BytesIO(text), len(text), lambda _: None)
            for segment in sorted(manifest.segments, key=lambda segment: segment.name):
                check_size(source.files, segment)
                with source.files.open(segment.name) as file:
                    if _store(packed, f"{inside}{segment.name}", file, segment.bytes, advance) != segment.sha256:
                        raise damaged(source.files.shown, f"{segment.name} is not what was written: its checksum is another one")
    return target


def unpack(path: Path, folder: Path, advance: Advance = lambda _: None) -> Path:
    """Unpack the packed recording at ``path`` into a new folder in ``folder``, under the name that it was packed with, and return that.

    Raises AnalyzerError as :func:`pack` does.
    """
    store = open_store(path)
    if not isinstance(store, PackStore):
        store.manifest()  # has the words for what is missing or none
        raise AnalyzerError(f"{path} is not packed: it is a folder already.", code=Exit.RECORDING)
    sources = _sources(store)
    target = folder / store.folder
    with _new_folder(target) as made:
        if len(sources) > 1:
            (made / PARTS).mkdir(0o700)
        for source in sources:
            _unpack(source, made / source.inside, advance)
        if len(sources) > 1:
            sync(made / PARTS)
    return target


def _unpack(source: _Source, folder: Path, advance: Advance) -> None:
    """Copy one recording out of a pack."""
    assert isinstance(source.files, PackStore)
    folder.mkdir(0o700, exist_ok=True)
    _copy(io.BytesIO(source.files.manifest()), folder / MANIFEST, lambda _: None)
    for segment in source.manifest.segments:
        check_size(source.files, segment)
        (folder / segment.table).mkdir(mode=0o700, exist_ok=True)
        with source.files.open(segment.name) as file:
            sha256, crc = _copy(file, folder / segment.name, advance)
        if sha256 != segment.sha256 or crc != source.files.member(segment.name).crc:
            raise damaged(source.files.shown, f"{source.inside}{segment.name} is not what was packed", "Have it packed and sent again.")
    for table in {segment.table for segment in source.manifest.segments}:
        sync(folder / table)
    sync(folder)


@dataclass(frozen=True, slots=True)
class _Source:
    """One manifest, and the files that it names: a recording, a merged one, which names none itself, or, ``inside`` of that, a part."""

    inside: str
    files: Store
    manifest: Manifest


def _sources(store: Store) -> list[_Source]:
    """Return what is to be copied; raise AnalyzerError (65) where a manifest is not sound, or a part is another recording than was merged."""
    sources: list[_Source] = []
    for files, place in stores(store):
        manifest = read_manifest(files)
        check_sound(files, manifest)
        if place is not None and manifest.id != place.part.recording_id:
            raise another(store.shown, place)
        if place is not None and not sources:
            sources.append(_Source("", store, read_manifest(store)))
        sources.append(_Source(f"{place.folder}/" if place else "", files, manifest))
    return sources


def _store(packed: zipfile.ZipFile, name: str, file: io.RawIOBase | io.BytesIO, size: int, advance: Advance) -> str:
    """Put a file into the pack, and return its SHA-256."""
    info = zipfile.ZipInfo(name, _DATE)
    info.file_size, info.create_system, info.external_attr = size, _UNIX, (stat.S_IFREG | 0o600) << 16
    sha256 = hashlib.sha256()
    with packed.open(info, "w") as out:
        for block in _blocks(file):
            sha256.update(block)
            out.write(block)
            advance(len(block))
    return sha256.hexdigest()


def _blocks(file: io.RawIOBase | io.BytesIO) -> Iterator[memoryview]:
    view = memoryview(bytearray(_BLOCK_BYTES))
    while count := file.readinto(view):
        yield view[:count]


def _copy(file: io.RawIOBase | io.BytesIO, target: Path, advance: Advance) -> tuple[str, int]:
    """Copy a file to a new one, durably; return its SHA-256 and CRC-32."""
    sha256, crc = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb", buffering=0) as out:
        for block in _blocks(file):
            sha256.update(block)
            crc = zlib.crc32(block, crc)
            done = 0
            while done < len(block):
                done += out.write(block[done:])
            advance(len(block))
        os.fsync(out.fileno())
    return sha256.hexdigest(), crc


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[io.BufferedRandom]:
    """Yield a new file, mode 0600, that is put to ``target`` when all went well."""
    check_new(target)
    with told(target), making(target) as made, os.fdopen(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w+b") as out:
        yield out


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder, mode 0700, that is put to ``target`` when all went well."""
    check_new(target)
    with told(target), beside(target) as made:
        yield made
