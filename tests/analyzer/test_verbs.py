"""Verbs of ``bpftape`` are found by their place, and each shows how it is used."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from recorder.bpftape import app
from tests.support import REPO

VERBS = sorted(path.stem.replace("_", "-") for path in (REPO / "analyzer" / "verbs").glob("[a-z]*.py"))


@pytest.mark.parametrize("verb", [*VERBS, "doctor"])
def test_help_of_every_verb_shows_how_it_is_used(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"], prog_name="bpftape")
    assert done.exit_code == 0, done.output
    assert f"bpftape {verb}" in done.output.partition("Examples")[2]
