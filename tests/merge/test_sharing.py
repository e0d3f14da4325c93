"""Sharing a merged recording: each part as by itself under the same key, on the same time line, and no host is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.recording import open_parts
from analyzer.share.pseudonyms import is_token
from tests.analyzer.verbs import verb


def done(*words: str | Path) -> str:
    made = verb(*words)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def merged(pair: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return both hosts in one recording; tests must not change it."""
    path = tmp_path_factory.mktemp("merged") / "both.bpftape"
    done("merge", *pair, "--output", path)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("policy", ["minimal", "standard", "strict"])
def test_each_part_is_shared_as_it_is_by_itself(policy: str, pair: list[Path], merged: Path, tmp_path: Path) -> None:
    options = ("--policy", policy, "--key", tmp_path / "key")
    done("share", merged, "--output", tmp_path / "copy", *options)
    for number, part in enumerate(pair):
        done("share", part, "--output", tmp_path / f"copy{number}", *options)
        assert files(tmp_path / "copy" / "parts" / f"{number:06}") == files(tmp_path / f"copy{number}")
    assert "damaged" not in done("verify", "--decode", tmp_path / "copy")


def test_clocks_lie_to_each_other_as_they_did_and_hosts_have_no_names(merged: Path, tmp_path: Path) -> None:
    done("share", merged, "--output", tmp_path / "copy", "--key", tmp_path / "key")
    before, after = ([part.place.part for part in open_parts(path) if part.place] for path in (merged, tmp_path / "copy"))
    for name in ("shift_ns", "wall_shift_ns", "bound_ns", "source", "connections"):
        assert [getattr(part, name) for part in before] == [getattr(part, name) for part in after]
    assert all(part.host and is_token(part.host) and is_token(part.name.removesuffix(".bpftape")) for part in after)
    text = (tmp_path / "copy" / "manifest.jsonl").read_text()
    originals = [*(part.name for part in before), *(part.recording_id for part in before), "web1", "db1", open_parts(merged)[0].place.timeline]  # type: ignore[union-attr]
    assert [word for word in originals if f'"{word}' in text] == []


def test_hosts_are_called_alike_in_rows_and_parts_so_that_reports_work(merged: Path, tmp_path: Path) -> None:
    done("share", merged, "--output", tmp_path / "copy", "--key", tmp_path / "key")
    hosts = {part.place.part.host for part in open_parts(tmp_path / "copy") if part.place}
    lines = [json.loads(line) for line in done("replay", tmp_path / "copy", "--speed", "max", "--json").splitlines()]
    assert len(lines) == len(done("replay", merged, "--speed", "max", "--json").splitlines()) > 50
    assert {line["host"] for line in lines} == hosts


def test_all_parts_count_and_the_output_names_none_of_the_hosts(merged: Path, tmp_path: Path) -> None:
    made = done("share", merged, "--output", tmp_path / "copy", "--policy", "minimal", "--dry-run", "--json")
    assert json.loads(made)["rows"] == sum(segment.rows for part in open_parts(merged) for found in part.tables.values() for segment in found)
    assert not (tmp_path / "copy").exists()
    refused = verb("share", merged, "--output", tmp_path / "copy-of-db1")
    assert (refused.returncode, "host's name" in refused.stderr) == (2, True)


def test_an_id_that_is_left_in_the_manifest_of_all_is_found(merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.share.merged._part", lambda part, *_: part)
    refused = verb("share", merged, "--output", tmp_path / "copy")
    assert refused.returncode != 0
    assert list(tmp_path.iterdir()) == []
