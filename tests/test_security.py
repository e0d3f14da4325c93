"""SECURITY.md claims nothing that no test shows."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support import REPO

TEXT = (REPO / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_that_a_claim_names_exists(path: str, name: str) -> None:
    tree = ast.parse((REPO / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_mention_of_a_test_is_one_that_is_looked_for() -> None:
    assert len(NAMED) == TEXT.count("tests/") > 20


def test_every_claim_of_what_cannot_be_done_names_a_test() -> None:
    claims = re.split(r"\n(?=- |\*\*|## )", TEXT.partition("## Who can do what")[2])
    assert [claim for claim in claims if re.match(r"- (cannot|finds)", claim) and "tests/" not in claim] == []
