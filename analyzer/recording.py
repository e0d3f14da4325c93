"""Open recordings: read the manifest, and check cheaply that it tells the truth about the files."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyzer import merged
from analyzer.derived import derived_names
from analyzer.errors import AnalyzerError, Exit
from analyzer.manifest import Manifest, Segment, damaged, parse
from analyzer.merged import Place
from analyzer.shared import Shared
from analyzer.store import PACK_SUFFIX, FolderStore, Store, is_being_written, is_file, still_written
from recorder.schema import MANIFEST, SUFFIX, TABLES

_LOOKS = 3
_NAME_TIME = re.compile(r"_(\d{8}T\d{6}Z)" + re.escape(SUFFIX) + r"(\.zip)?\Z")


@dataclass(frozen=True, slots=True)
class Recording:
    """An opened recording.

    ``torn`` says that the manifest's last line was cut off, and is not used; ``shared`` that this is a copy, and how made; ``place`` that it is
    a part of a merged one; ``being_written`` that a recorder was at work on it when it was opened, so that it has what was closed by then.
    """

    path: Path
    id: str
    recorder: str
    format: int
    tables: dict[str, list[Segment]]
    torn: bool
    store: Store
    shared: Shared | None = None
    place: Place | None = None
    being_written: bool = False

    @property
    def name(self) -> str:
        """Return the folder's name, that which a part had before it was merged."""
        return self.place.part.name if self.place else self.path.name

    @property
    def shift_ns(self) -> int:
        """Return what its times have to have added to be those of its time line."""
        return self.place.part.shift_ns if self.place else 0


def open_store(path: Path) -> Store:
    """Return the files of the recording at ``path``; what is there is not looked at yet."""
    if is_file(path):
        from analyzer.pack import PackStore

        return PackStore(path)
    return FolderStore(path)


def read_manifest(store: Store) -> Manifest:
    """Return what the manifest of a recording says; raise AnalyzerError (65 or 77) where it cannot be read."""
    return parse(store.shown, store.path, store.manifest())


def open_recording(path: Path) -> Recording:
    """Read the manifest of the recording at ``path`` and hold each file that it lists against it (there, regular, of that size).

    One that is still being written may change meanwhile, and is then looked at again. Raises AnalyzerError with exit code 65 for what is missing,
    empty, foreign, damaged or too new, 77 for what may not be read, and 2 for a merged one, which is several.
    """
    return _open(open_store(path))


def _open(store: Store) -> Recording:
    for _ in range(_LOOKS):
        being_written = is_being_written(store.path)  # asked first: what was written before the end is then in what is read next
        manifest = read_manifest(store)
        try:
            return replace(_opened(store, manifest), being_written=being_written)
        except AnalyzerError as error:
            wrong = error
        if read_manifest(store) == manifest:
            break
    raise wrong


def _opened(store: Store, manifest: Manifest) -> Recording:
    check_sound(store, manifest)
    tables: dict[str, list[Segment]] = {}
    for segment in manifest.segments:
        check_size(store, segment)
        tables.setdefault(segment.table, []).append(segment)
    return Recording(store.path, manifest.id, manifest.recorder, manifest.format, tables, bool(manifest.torn), store, manifest.shared)


def check_sound(store: Store, manifest: Manifest) -> None:
    """Raise AnalyzerError where a manifest is damaged or names no segment, or is that of a merged recording."""
    check_single(store.shown, manifest)
    if manifest.faults:
        raise damaged(store.shown, manifest.faults[0])
    if not manifest.segments and is_being_written(store.path):
        raise AnalyzerError(f"{store.shown} is still being written, and nothing of it is closed yet.", "Try again in some seconds.", Exit.RECORDING)
    if not manifest.segments:
        what = f"{store.shown} is an empty recording: it was ended before its first segment was closed."
        raise AnalyzerError(what, "Record again, for longer.", Exit.RECORDING)


def check_single(path: Path, manifest: Manifest) -> None:
    """Raise AnalyzerError where the recording at ``path`` is merged, and so is several."""
    if manifest.merged is not None:
        raise AnalyzerError(f"{path} is merged of several recordings.", f"Name one of its parts, which bpftape info {path} lists.")


def has_changed(recording: Recording) -> bool:
    """Say whether the files of a recording are not those any more that it was opened with: it was written, or copied over, meanwhile.

    Segments that were only added do not count: they are not looked for.
    """
    then = {segment.name: segment for segments in recording.tables.values() for segment in segments}
    try:
        now = {segment.name: segment for segment in read_manifest(recording.store).segments}
        return any(now.get(name) != segment or recording.store.size(name) != segment.bytes for name, segment in then.items())
    except AnalyzerError:
        return True


@contextlib.contextmanager
def reading(recordings: Sequence[Recording]) -> Iterator[None]:
    """Say of a recording that proves damaged inside of this block that it changed while it was read, if that is what happened."""
    try:
        yield
    except AnalyzerError as error:
        changed = [recording.name for recording in recordings if error.code == Exit.RECORDING and has_changed(recording)]
        if changed:
            raise AnalyzerError(f"{changed[0]} changed while it was read. {error.message}", "Run it again.", Exit.RECORDING) from None
        raise


def being_written(recordings: Sequence[Recording]) -> list[str]:
    """Return a sentence for each recording that a recorder was at work on when it was opened, for verbs whose answers say nothing of its end."""
    return [f"{recording.name} is still being written: this is what was closed by now" for recording in recordings if recording.being_written]


def check_ended(files: Iterable[Store]) -> None:
    """Raise AnalyzerError where a recorder is at work on one of the recordings that have these ``files``."""
    for store in files:
        if is_being_written(store.path):
            raise still_written(store.shown)


def check_size(store: Store, segment: Segment) -> None:
    """Raise AnalyzerError where a segment's file is missing, not a regular file, or not of the size that was written."""
    size = store.size(segment.name)
    if size != segment.bytes:
        raise damaged(store.shown, f"{segment.name} has {size:,} bytes where the manifest says {segment.bytes:,}")


def stores(store: Store) -> list[tuple[Store, Place | None]]:
    """Return the files of a recording, or, where it is merged, those of all of its parts, each with its place.

    Raises AnalyzerError as :func:`read_manifest` does, and (65) where a merged one does not say what it is merged of.
    """
    manifest = read_manifest(store)
    if manifest.merged is None:
        return [(store, None)]
    if not manifest.merged:
        raise damaged(store.shown, merged.NONSENSE, "Merge its parts again.")
    return [(store.part(number), Place(manifest.id, store.path, number, part)) for number, part in enumerate(manifest.merged)]


def open_parts(path: Path) -> list[Recording]:
    """Open the recording at ``path``, or all parts of it where it is merged; raise as :func:`open_recording` does."""
    opened = []
    for store, place in stores(open_store(path)):
        found = _open(store)
        if place is not None and found.id != place.part.recording_id:
            raise another(path, place)
        opened.append(replace(found, place=place))
    return opened


def another(path: Path, place: Place) -> AnalyzerError:
    """Return what to say where another recording is in the place of a part of the merged one at ``path``."""
    return damaged(path, f"{place.folder} is another recording than was merged", "Merge its parts again.")


def open_recordings(paths: Sequence[Path]) -> list[Recording]:
    """Open all recordings at ``paths``, with all their parts; raise AnalyzerError also when one is there twice, since its rows would count twice."""
    recordings: list[Recording] = []
    seen: dict[str, Path] = {}
    for path in paths:
        for recording in open_parts(path):
            if recording.id in seen:
                both = f"{seen[recording.id]} and {path} are the same recording, or have one in common."
                raise AnalyzerError(f"{path} is named twice." if path == seen[recording.id] else both, "Name each recording once.")
            seen[recording.id] = path
            recordings.append(recording)
    return recordings


def find_recordings(folder: Path) -> list[Path]:
    """Return the recordings in ``folder``, packed or not, by name."""
    folders = (path for path in folder.glob("*" + SUFFIX) if (path / MANIFEST).is_file())
    return sorted([*folders, *(path for path in folder.glob("*" + PACK_SUFFIX) if path.is_file())])


def newest_recording(folder: Path) -> Path:
    """Return the newest recording in ``folder``: by the time in its name, else by when its manifest was last written."""
    found = find_recordings(folder)
    if not found:
        raise AnalyzerError(
            f"There is no recording (*{SUFFIX}) in {folder.absolute()}.",
            "Name one: analyze REPORT RECORDING, or make one: sudo record --duration 10",
            Exit.RECORDING,
        )
    return max(found, key=lambda path: (_made(path), path.name))


def _made(path: Path) -> float:
    from datetime import UTC, datetime

    if match := _NAME_TIME.search(path.name):
        try:
            return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:  # digits that are no date
            pass
    return (path if path.is_file() else path / MANIFEST).stat().st_mtime


def known_tables(recordings: Sequence[Recording]) -> set[str]:
    """Return the tables that a statement may read: those of the schema, and those that a newer recorder wrote, but none called as a derived view."""
    return set(TABLES).union(*(recording.tables for recording in recordings)) - set(derived_names())
