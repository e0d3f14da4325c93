"""Verbs of ``bpftape`` are found by their place, and each shows how it is used."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import recorder.bpftape  # noqa: F401 - adds the recorder's verbs
from analyzer.verbs import app
from tests.support import REPO

VERBS = sorted(path.stem.replace("_", "-") for side in ("analyzer", "recorder") for path in (REPO / side / "verbs").glob("[a-z]*.py"))


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_shows_how_it_is_used(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"], prog_name="bpftape")
    assert done.exit_code == 0, done.output
    assert f"bpftape {verb}" in " ".join(done.output.partition("Examples")[2].split())
