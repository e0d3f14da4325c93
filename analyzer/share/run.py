"""Carry out one call of ``bpftape share``: read, treat, write beside the place, check, and only then hand out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from analyzer.beside import beside, check_new, failed
from analyzer.errors import AnalyzerError, Exit
from analyzer.progress import progress
from analyzer.recording import Recording, being_written, open_parts, reading
from analyzer.share import key as keys
from analyzer.share.columns import Columns
from analyzer.share.copy import Copy
from analyzer.share.leaks import Check
from analyzer.share.masking import Masker
from analyzer.share.merged import enter_merged
from analyzer.share.originals import distinct_hosts, names
from analyzer.share.policy import Policy, Treatment, load
from analyzer.share.pseudonyms import Pseudonyms
from analyzer.share.source import batches, total_bytes
from analyzer.share.summary import Change, Summary, about, changes, left_out
from analyzer.shared import WRITTEN
from analyzer.version import version
from recorder.schema import SUFFIX, TABLES, Kind

_MOST_NAMES = 100_000
_FORGOTTEN = "random, and forgotten: nobody can make these pseudonyms again; to share more under the same ones, give --key FILE"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user typed. ``key`` is None for a random one that is forgotten."""

    recording: Path
    output: Path
    policy: str
    key: Path | None
    dry_run: bool


def share(request: Request) -> Summary:
    """Make the copy, or with ``dry_run`` only say what would become of it.

    Raises AnalyzerError for whatever the user can mend, and leaves nothing of the copy: 1 where the leak check found something, 2 for a policy or key
    that is none, 65 for a recording that cannot be read, 73 or 74 for an output that cannot be written, 77 for a key that others can read.
    """
    policy = load(request.policy)
    key = keys.read_key(request.key) if request.key else None
    recordings = open_parts(request.recording)
    with reading(recordings):
        return _shared(request, recordings, policy, key)


def _shared(request: Request, recordings: Sequence[Recording], policy: Policy, key: bytes | None) -> Summary:
    _check_output(request.output, recordings, policy)
    if request.dry_run:
        counts = [_counts(recording, policy) for recording in recordings]
        where = _FORGOTTEN if request.key is None else f"{request.key}{'' if key else ', which would be made'}"
        return _summary(request, recordings, policy, changes(recordings, policy, counts), where, None)
    is_made = request.key is not None and key is None
    if request.key is None:
        key = keys.random_key()
    elif key is None:
        key = keys.make_key(request.key)
    assert key is not None
    try:
        return _made(request, recordings, policy, key, is_made)
    except BaseException as error:
        if is_made and request.key:  # it was never used
            with suppress(OSError):
                request.key.unlink()
        if isinstance(error, KeyboardInterrupt):
            raise AnalyzerError("Sharing was stopped. Nothing of the copy is left.", code=Exit.INTERRUPTED) from None
        if isinstance(error, OSError):
            raise failed(request.output, error) from None
        raise


def _made(request: Request, recordings: Sequence[Recording], policy: Policy, key: bytes, is_key_new: bool) -> Summary:
    pseudonyms = Pseudonyms(key)
    columns = Columns(policy, pseudonyms, _masker(recordings, policy, pseudonyms))
    with beside(request.output) as folder:
        copies = {pseudonyms.recording_id(recording.id): _copied(recording, columns, policy, pseudonyms, folder) for recording in recordings}
        manifests = [copy.manifest for copy in copies.values()]
        if recordings[0].place:
            manifests.append(enter_merged(folder, recordings, policy, pseudonyms))
        Check(recordings, policy, pseudonyms, {number: copy.metadata for number, copy in copies.items()}).run(open_parts(folder), manifests)
    changed = changes(recordings, policy, [copy.changed for copy in copies.values()])
    where = _FORGOTTEN if request.key is None else f"{request.key}{' (new; keep it to yourself)' if is_key_new else ''}"
    return _summary(request, recordings, policy, changed, where, str(request.output))


def _copied(recording: Recording, columns: Columns, policy: Policy, pseudonyms: Pseudonyms, folder: Path) -> Copy:
    """Make the copy of one recording in ``folder``, or where parts of merged ones are below that."""
    place = folder / recording.place.folder if recording.place else folder
    place.mkdir(0o700, parents=True, exist_ok=True)
    copy = Copy(place, pseudonyms.recording_id(recording.id), f"bpftape {version()}", policy.name)
    with progress("sharing", total_bytes(recording)) as advance:
        lines = copy.fill(recording, columns, advance)
    said = about(policy, changes([recording], policy, [copy.changed]), left_out([recording]))
    copy.enter(said | ({WRITTEN: True} if recording.being_written else {}), lines)
    return copy


def _summary(request: Request, recordings: Sequence[Recording], policy: Policy, changed: tuple[Change, ...], key: str, output: str | None) -> Summary:
    rows, notes = sum(map(_rows, recordings)), tuple(being_written(recordings))
    return Summary(request.recording, policy, rows, changed, left_out(recordings), key, output, notes)


def _masker(recordings: Sequence[Recording], policy: Policy, pseudonyms: Pseudonyms) -> Masker:
    treatments = {*policy.kinds.values(), *policy.columns.values()}
    found: dict[str, str] = {}
    if Treatment.MASK in treatments:
        for kind, name in names(recordings, policy):
            if len(found) >= _MOST_NAMES:
                break
            found.setdefault(name, pseudonyms.token(kind, name))
    return Masker(pseudonyms, found, policy.kinds[Kind.FILE] in (Treatment.TOKEN, Treatment.DROP))


def _check_output(output: Path, recordings: Sequence[Recording], policy: Policy) -> None:
    """Raise AnalyzerError where the output is there already, or its name says what the policy hides."""
    check_new(output)
    if policy.kinds[Kind.HOST] is Treatment.KEEP:
        return
    for host in distinct_hosts(recordings):
        # Also without its domain: web1-copy tells as much as web1.example.com does.
        if any(_is_word(name, output.name.removesuffix(SUFFIX)) for name in (host, host.partition(".")[0])):
            raise AnalyzerError("The output's name has the host's name in it, which is not to be handed out.", "Call it something else.")


def _is_word(name: str, text: str) -> bool:
    return name != "" and re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text, re.IGNORECASE) is not None


def _counts(recording: Recording, policy: Policy) -> dict[str, dict[str, int]]:
    """Return how many values the policy changes, by table and column."""
    counts: dict[str, dict[str, int]] = {}
    with progress("reading", total_bytes(recording)) as advance:
        for table in TABLES.values():
            changed = [column.name for column in table.columns if policy.treatment(table, column) is not Treatment.KEEP]
            found = counts.setdefault(table.name, {})
            for segment in recording.tables.get(table.name, []):
                for part in batches(recording, segment, table, changed):
                    for name in part.column_names:
                        found[name] = found.get(name, 0) + part.num_rows - part[name].null_count
                advance(segment.bytes)
    return counts


def _rows(recording: Recording) -> int:
    return sum(segment.rows for table in recording.tables if table in TABLES for segment in recording.tables[table])
