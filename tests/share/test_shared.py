"""A shared copy as its readers see it: it says that it is one, and what it cannot know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.recording import open_recording
from analyzer.share.run import Request, share
from analyzer.shared import Shared, shared
from tests.rows import read_rows, write_recording
from tests.support import Cli

NETWORK = "SELECT count(*) AS n FROM tcp_connect WHERE in_cidr(daddr, '10.0.0.0/8')"


def test_what_network_an_address_is_in_cannot_be_known(copies: dict[str, Path], recording: Path, cli: Cli) -> None:
    done = cli("analyze", "--sql", NETWORK, copies["minimal"])
    assert (done.returncode, done.stdout) == (3, "")
    assert "in_cidr() cannot know: addresses in minimal.bpftape are pseudonyms (policy minimal)" in done.stderr
    assert "daddr_scope" in done.stderr
    assert cli("analyze", "--sql", NETWORK, recording, copies["minimal"]).returncode == 3, "not for one of them, so not for both"
    assert cli("analyze", "--sql", NETWORK, recording).returncode == 0


def test_an_expectation_about_networks_is_unknown(copies: dict[str, Path], cli: Cli) -> None:
    done = cli("analyze", "--expect", "connects_inside", copies["standard"], "--format", "json")
    assert done.returncode == 3, done.stderr
    (found,) = json.loads(done.stdout)["expectations"]
    assert found["outcome"] == "UNKNOWN"
    assert "in_cidr() cannot know" in found["why"]


def test_networks_are_known_where_the_policy_keeps_addresses(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "open house.toml").write_text('base = "standard"\n[kinds]\naddress = "keep"\n')
    recording = write_recording(tmp_path / "recording", read_rows())
    share(Request(recording, tmp_path / "copy", str(tmp_path / "open house.toml"), None, False))
    done = cli("analyze", "--sql", NETWORK, tmp_path / "copy", "--format", "csv")
    assert done.stdout == cli("analyze", "--sql", NETWORK, recording, "--format", "csv").stdout
    assert open_recording(tmp_path / "copy").shared == Shared("open-house", hides_addresses=False)


def test_readers_are_told_that_names_are_pseudonyms(copies: dict[str, Path], recording: Path, cli: Cli) -> None:
    assert "strict.bpftape is a shared copy (policy strict): names in it are pseudonyms" in cli("analyze", "accepts", copies["strict"]).stderr
    assert "shared     a copy under the policy strict" in cli("bpftape", "info", copies["strict"]).stdout
    told = json.loads(cli("bpftape", "info", "--json", copies["strict"]).stdout)["shared"]
    assert told == {"policy": "strict", "hides_addresses": True, "being_written": False}
    assert json.loads(cli("bpftape", "info", "--json", recording).stdout)["shared"] is None


@pytest.mark.parametrize(
    ("about", "found"),
    [
        ({"policy": "x", "kinds": {"address": "keep"}, "columns": {}}, Shared("x", False)),
        ({"policy": "x", "kinds": {"address": "keep"}, "columns": {"tcp_close.daddr": {}}}, Shared("x", True)),
        ({"policy": "x", "kinds": {"address": "prefix"}, "columns": {}}, Shared("x", True)),
        ({"policy": "x\x1b[2J", "kinds": {"address": "keep"}, "columns": {}}, Shared("unknown", True)),
        ({"policy": "x", "kinds": {"address": "keep"}, "columns": []}, Shared("x", True)),
        ({"policy": "x"}, Shared("x", True)),
        (True, Shared("unknown", True)),
        (None, Shared("unknown", True)),
    ],
)
def test_a_strangers_word_about_sharing_is_not_taken_for_more_than_it_is(about: Any, found: Shared) -> None:
    assert shared({"bpftape_format": 1, "shared": about}) == found


def test_a_copy_is_still_one_when_its_manifest_was_lost(recording: Path, tmp_path: Path, cli: Cli) -> None:
    share(Request(recording, tmp_path / "copy", "standard", None, False))
    (tmp_path / "copy" / "manifest.jsonl").unlink()
    (tmp_path / "copy" / "manifest.jsonl").touch()
    assert cli("bpftape", "recover", tmp_path / "copy").returncode == 0
    assert open_recording(tmp_path / "copy").shared == Shared("standard", hides_addresses=True)


def test_a_recording_is_no_copy_unless_it_says_so(recording: Path) -> None:
    assert open_recording(recording).shared is None
