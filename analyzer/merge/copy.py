"""Take segments into a merged recording: every byte is held against its checksum, and none is written twice where a hard link will do."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

from analyzer.beside import sync
from analyzer.manifest import Manifest, Segment, damaged
from analyzer.parallel import each
from analyzer.progress import Advance
from analyzer.recording import Recording, read_manifest
from analyzer.store import FolderStore, Store
from recorder.schema import MANIFEST

_BLOCK_BYTES = 1 << 20
_MOST_AT_ONCE = 4


def copy_recording(recording: Recording, folder: Path, advance: Advance) -> None:
    """Make ``folder`` the same recording; raise AnalyzerError (65) for a segment that is not as it was written."""
    manifest = read_manifest(recording.store)
    folder.mkdir(0o700)
    for table in sorted({segment.table for segment in manifest.segments}):
        (folder / table).mkdir(0o700)
    each(lambda segment, advance: _take(recording.store, segment, folder, advance), manifest.segments, advance, _MOST_AT_ONCE)
    _write_manifest(manifest, folder)
    for table in {segment.table for segment in manifest.segments}:
        sync(folder / table)
    sync(folder)


def _write_manifest(manifest: Manifest, folder: Path) -> None:
    write_file(folder / MANIFEST, b"".join(line + b"\n" for line in manifest.lines))


def write_file(path: Path, data: bytes) -> None:
    """Make a file, mode 0600, durably."""
    with os.fdopen(_new(path), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _take(store: Store, segment: Segment, folder: Path, advance: Advance) -> None:
    path = folder / segment.name
    with store.open(segment.name) as file:
        if isinstance(store, FolderStore) and _linked(file.fileno(), path):
            sha256 = _read(file, None, advance)
        else:
            with os.fdopen(_new(path), "wb", buffering=0) as out:
                sha256 = _read(file, out, advance)
                os.fsync(out.fileno())
    if sha256 != segment.sha256:
        raise damaged(store.shown, f"{segment.name} is not what was written: its checksum is another one")


def _linked(fd: int, path: Path) -> bool:
    """Say whether ``path`` could be made another name of the open file ``fd``: not on another disk, and not of a file of somebody else."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{fd}", path.name, dst_dir_fd=folder, follow_symlinks=True)  # Python follows only where a folder is given
        return True
    except OSError:
        return False
    finally:
        os.close(folder)


def _new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _read(file: io.RawIOBase, out: io.RawIOBase | io.FileIO | None, advance: Advance) -> str:
    """Return the SHA-256 of all of ``file``, which goes to ``out``, too."""
    sha256, block = hashlib.sha256(), bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    while count := file.readinto(block):
        sha256.update(view[:count])
        done = 0
        while out is not None and done < count:
            done += out.write(view[done:count]) or 0
        advance(count)
    return sha256.hexdigest()
