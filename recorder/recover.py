"""Make a recording whole again after a kill, a full disk or a power cut, as far as it can be.

Segments that are whole and not in the manifest are taken in; those in it that are damaged are put out of use; and what is missing is counted as
lost in ``coverage``, so that every answer tells of it. No file of the recording is removed or written to.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analyzer import shared
from analyzer.errors import AnalyzerError, Exit
from analyzer.gaps import Missing
from analyzer.manifest import SEGMENT_PATH, Manifest, Segment, json_object, parse
from analyzer.parquet import open_parquet
from analyzer.progress import Advance
from analyzer.recording import check_single
from analyzer.segment_check import column_faults, decode_rows, digest, identity_faults, unreadable
from analyzer.store import FolderStore, is_file
from analyzer.verify import Facts, broken_ones, check_all, counts_all, damaged, missing, read_facts, sound_ones
from recorder.reopen import ReopenedFolder, failed
from recorder.schema import FORMAT, TABLES, arrow_schema
from recorder.schema.parquet import SHARED
from recorder.segment import Segment as NewSegment

_TMP = ".tmp"


@dataclass(slots=True)
class Recovered:
    """What was done. Nothing was where all lists but ``left`` and ``missing`` are empty and ``manifest`` is no sentence."""

    path: Path
    taken_in: list[str] = field(default_factory=list)
    rows: int = 0
    """Rows in what was taken in."""
    put_out: list[str] = field(default_factory=list)
    """Segments in the manifest that are damaged; their files stay."""
    left: list[str] = field(default_factory=list)
    """Files that are not whole, and no part of the recording."""
    manifest: str = ""
    counted: list[Missing] = field(default_factory=list)
    """What is counted as lost from now on."""
    missing: list[Missing] = field(default_factory=list)
    covered_to_ns: int | None = None
    """Up to when coverage tells of every table, where the recorder was ended before it could say so itself."""
    offset_ns: int | None = None

    @property
    def changed(self) -> bool:
        """Say whether anything was changed."""
        return bool(self.taken_in or self.put_out or self.counted or self.manifest)


def recover(path: Path, advance: Advance = lambda _: None) -> Recovered:
    """Recover the recording at ``path``, in place; done twice it changes nothing more.

    Raises AnalyzerError: 65 where there is nothing to recover, or a recorder is at work; 73, 74, 77 where the folder cannot be changed.
    """
    store = FolderStore(path)
    if is_file(store.path):
        raise AnalyzerError(f"{path} is packed, or no recording.", f"Unpack it first: bpftape unpack {path}", Exit.RECORDING)
    with contextlib.suppress(OSError):  # opening it has the words for that
        if not store.path.is_dir():
            store.manifest()  # has the words for what is wrong
    folder = ReopenedFolder(store.path, "")
    try:
        return _recover(store, folder, advance)
    except OSError as error:
        raise failed(path, error) from None
    finally:
        folder.close()


def _recover(store: FolderStore, folder: ReopenedFolder, advance: Advance) -> Recovered:
    done = Recovered(store.path)
    manifest, rebuilt = _manifest(store)
    check_single(store.shown, manifest)
    folder.recording_id = manifest.id
    checked = check_all(store, manifest.segments, manifest.id, advance)
    sound, broken = sound_ones(checked), broken_ones(checked)
    mended = {result.truth.name: result.truth for result in checked.values() if result.truth}
    folder.release_reserve()
    sound += _take_in(store, folder, manifest, sound, advance, done)
    facts, counts = read_facts(store, sound), counts_all(manifest, broken)
    found = missing(facts, sound, damaged(facts, sound, broken, counts), counts)
    done.counted = [item for item in found if item.rows and not item.told]
    done.put_out = [segment.name for segment in broken]
    done.missing, done.offset_ns = found, facts.offset_ns
    if facts.end_ns is None:
        done.covered_to_ns = _covered_to(facts)
    if done.counted or broken:
        _count_as_lost(store, folder, manifest, facts, done)
    done.manifest = _manifest_note(manifest, rebuilt, len(mended))
    if folder.entered or done.manifest:
        kept = folder.replace_manifest([_true(line, mended) for line in manifest.lines], keep=bool(done.manifest))
        if done.manifest and kept:
            done.manifest += f"; the old one is {kept}"
    return done


def _covered_to(facts: Facts) -> int | None:
    """Return up to when coverage tells of every table: not at all of one that was asked for and that it does not name. None where nobody knows."""
    ends = [of.to_ns for of in facts.coverage.values()]
    if facts.start_ns is not None and any(table.tracer in facts.tracers and name not in facts.coverage for name, table in TABLES.items()):
        ends.append(facts.start_ns)
    return min(ends, default=None)


def _manifest(store: FolderStore) -> tuple[Manifest, bool]:
    """Return what the manifest says, or, where its first line is lost, an empty one of the recording that the segments say they are of."""
    try:
        text = store.manifest()
        return parse(store.shown, store.path, text), False
    except AnalyzerError as error:
        if error.code is not Exit.RECORDING:
            raise
        header = json_object(text.split(b"\n", 1)[0]) if "text" in locals() else None
        version = header.get("bpftape_format") if header else None
        found = None if isinstance(version, int) and version > FORMAT else _header(store)
        if found is None:
            raise
        return parse(store.shown, store.path, found + b"\n"), True


def _header(store: FolderStore) -> bytes | None:
    """Return a first line for a manifest, from what the segments say of themselves; None where they say nothing, or different things."""
    said = set()
    for name in store.names():
        if not SEGMENT_PATH.fullmatch(name.removesuffix(_TMP)):
            continue
        try:
            with store.open(name) as file, open_parquet(file) as parquet:
                found = {key.decode(): value.decode() for key, value in (parquet.metadata.metadata or {}).items()}
        except unreadable(AnalyzerError):
            continue
        if found.get("bpftape.format", "").isdecimal():
            recording_id, recorder = found.get("bpftape.recording_id", ""), found.get("bpftape.recorder", "unknown")
            said.add((int(found["bpftape.format"]), recording_id, recorder, found.get(SHARED)))
    if len(said) != 1:
        return None
    ((version, recording_id, recorder, policy),) = said
    header = {"bpftape_format": version, "recording_id": recording_id, "recorder": recorder}
    return json.dumps(header | ({shared.KEY: {"policy": policy}} if policy else {})).encode()


def _true(line: bytes, mended: Mapping[str, Segment]) -> bytes:
    """Return a line of the manifest with the numbers of its segment in the place of others."""
    entry = json_object(line) or {}
    segment = mended.get(str(entry.get("path")))
    if segment is None:
        return line
    numbers = {"rows": segment.rows, "bytes": segment.bytes, "first_ts_ns": segment.first_ts_ns, "last_ts_ns": segment.last_ts_ns}
    return json.dumps(entry | numbers).encode()


def _manifest_note(manifest: Manifest, rebuilt: bool, mended: int) -> str:
    if rebuilt:
        return "made anew from what the segments say of themselves"
    count = len(manifest.faults)
    parts = [f"{count} lines that name no segment" if count > 1 else "a line that names no segment"] if count else []
    parts += ["a last line that was cut off"] if manifest.torn else []
    notes = [f"without {' and '.join(parts)}"] if parts else []
    notes += [f"with true numbers of {mended:,} segments" if mended > 1 else "with true numbers of a segment"] if mended else []
    return f"written anew {' and '.join(notes)}" if notes else ""


def _take_in(
    store: FolderStore, folder: ReopenedFolder, manifest: Manifest, sound: Sequence[Segment], advance: Advance, done: Recovered
) -> list[Segment]:
    """Enter the files that are whole and that the manifest does not name; give those their names that the recorder had no time to name."""
    taken: list[Segment] = []
    latest = {segment.table: segment.name for segment in sound if segment.table in TABLES and TABLES[segment.table].rewritten}
    names = set(store.names())
    for name in sorted(names):
        match = SEGMENT_PATH.fullmatch(name.removesuffix(_TMP))
        if match is None or name in manifest.named:
            continue
        line = _whole(store, name, match[1], manifest.id, advance)
        if line is None:
            done.left.append(name)
            continue
        line["path"] = _free(name.removesuffix(_TMP), names - {name} | manifest.named)
        folder.settle(match[1], name.partition("/")[2], line["path"].partition("/")[2])
        names.add(line["path"])
        if match[1] in latest:
            line["replaces"] = [latest[match[1]]]
        if match[1] in TABLES and TABLES[match[1]].rewritten:
            latest[match[1]] = line["path"]
        folder.enter(line)
        done.taken_in.append(line["path"])
        done.rows += line["rows"]
        path = store.path / line["path"]
        taken.append(Segment(match[1], path, line["rows"], line["bytes"], line["sha256"], line["first_ts_ns"], line["last_ts_ns"]))
    return taken


def _free(name: str, taken: set[str] | frozenset[str]) -> str:
    """Return ``name``, or the next one that nothing has."""
    table, _, file = name.partition("/")
    number = int(file.partition(".")[0])
    while f"{table}/{number:06}.parquet" in taken:
        number += 1
    return name if name not in taken else f"{table}/{number:06}.parquet"


def _whole(store: FolderStore, name: str, table: str, recording_id: str, advance: Advance) -> dict[str, Any] | None:
    """Return the manifest's line for a file that is whole: a Parquet file of this recording and table, every value of which can be decoded."""
    try:
        with store.open(name) as file:
            with open_parquet(file) as parquet:
                rows, time = parquet.metadata.num_rows, TABLES[table].time if table in TABLES else None
                if identity_faults(parquet, table, recording_id) or column_faults(parquet, table) or not rows or decode_rows(parquet) != rows:
                    return None
                times = parquet.read(columns=[time], use_threads=False)[time] if time else None
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            sha256 = digest(file, advance)
    except unreadable(AnalyzerError):
        return None
    span = pc.min_max(times).as_py() if times is not None else {"min": None, "max": None}
    return {
        "path": name,
        "table": table,
        "rows": rows,
        "bytes": size,
        "sha256": sha256,
        "first_ts_ns": span["min"],
        "last_ts_ns": span["max"],
    }


def _int64(number: int) -> int:
    """Return the number next to it that a column can hold: sums of what lies may be larger."""
    return max(-(1 << 63), min(number, (1 << 63) - 1))


def _count_as_lost(store: FolderStore, folder: ReopenedFolder, manifest: Manifest, facts: Facts, done: Recovered) -> None:
    """Write a segment of ``coverage`` that stands in the place of what is damaged, with a row for each thing that is missing."""
    table = TABLES["coverage"]
    rows = [
        {
            "ts": (item.from_ns + (facts.offset_ns or 0)) // 1_000,
            "ts_ns": _int64(item.from_ns),
            "interval_ns": _int64(max(item.to_ns - item.from_ns, 1)),
            "tracer": TABLES[item.table].tracer if item.table in TABLES else facts.coverage[item.table].tracer,
            "table": item.table,
            "attached": True,
            "events": 0,
            "lost": _int64(item.rows or 0),
            "bytes": 0,
            "unwritten": _int64(item.rows or 0),
        }
        for item in done.counted
    ]
    path = _free("coverage/000000.parquet", {name.removesuffix(_TMP) for name in store.names()} | manifest.named)
    segment = NewSegment(folder, table, int(Path(path).stem))
    try:
        times = [_int64(item.from_ns) for item in done.counted]
        segment.write(pa.Table.from_pylist(rows, schema=arrow_schema(table)), (min(times), max(times)) if times else None)
        segment.finish()
        segment.seal()
    except BaseException:
        segment.abandon()
        raise
    if done.put_out:
        folder.entered[-1]["replaces"] = done.put_out
